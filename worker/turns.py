"""Whose chunk goes next: deficit round robin over licenses. Pure.

Each license in turn earns a quantum of records and spends it on its oldest chunks;
what it could not spend it keeps while it has work. A part of the room is for small
jobs alone, so that ten records never wait behind a million.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from storage.dispatch import Waiting

_SMALL_SHARE = 4
"""One in so many places is kept for small jobs."""


class Turn(NamedTuple):
    """The chunks that go, in their order, and what each license keeps for later."""

    chunk_ids: tuple[int, ...]
    deficits: Mapping[str, int]


def choose(
    waiting: Sequence[Waiting],
    deficits: Mapping[str, int],
    *,
    room: int,
    quantum_records: int,
    small_job_records: int,
) -> Turn:
    """Choose at most `room` chunks, small jobs first in their share of it."""
    small = [chunk for chunk in waiting if chunk.job_records <= small_job_records]
    share = min(len(small), -(-room // _SMALL_SHARE))
    first = _rounds(small, {}, share, quantum_records).chunk_ids
    rest = [chunk for chunk in waiting if chunk.chunk_id not in set(first)]
    then = _rounds(rest, deficits, room - len(first), quantum_records)
    return Turn((*first, *then.chunk_ids), then.deficits)


def _rounds(
    waiting: Sequence[Waiting],
    deficits: Mapping[str, int],
    room: int,
    quantum_records: int,
) -> Turn:
    queues: dict[str, list[Waiting]] = {}
    for chunk in waiting:
        queues.setdefault(chunk.license_id, []).append(chunk)
    # Whoever is owed most begins, so that a full broker starves nobody.
    order = sorted(queues, key=lambda license_id: -deficits.get(license_id, 0))
    kept = {license_id: deficits.get(license_id, 0) for license_id in order}
    chosen: list[int] = []
    while len(chosen) < room and any(queues.values()):
        for license_id in order:
            queue = queues[license_id]
            if not queue:
                continue
            kept[license_id] += quantum_records
            while queue and len(chosen) < room and queue[0].records <= kept[license_id]:
                chunk = queue.pop(0)
                kept[license_id] -= chunk.records
                chosen.append(chunk.chunk_id)
    return Turn(
        tuple(chosen),
        {license_id: kept[license_id] for license_id in order if queues[license_id]},
    )
