"""Whose chunk goes next: deficit round robin over licenses. Pure.

Each license in turn earns a quantum of records and spends it on its oldest chunks;
what it could not spend it keeps while it has work. A part of the room is for small
jobs alone, so that ten records never wait behind a million.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from storage.jobs.dispatch_queue import InFlight, Waiting

_SMALL_SHARE = 4
"""One in so many places is kept for small jobs."""

_AHEAD_MIN = 8
_AHEAD_EACH = 3
"""So many chunks wait in the broker for each that runs, and never fewer than the least:
enough to keep workers busy between two turns."""


class Turn(NamedTuple):
    """The chunks that go, and how the next turn goes on.

    `deficits` is what each license may still spend, `last` the license that was
    served last: the one after it begins.
    """

    chunk_ids: tuple[int, ...] = ()
    deficits: Mapping[str, int] = MappingProxyType({})
    last: str = ""


def free_places(flight: InFlight, *, flight_max: int) -> int:
    """How many chunks more may go to the broker.

    A broker hands out what it was given first, whoever has come since: few may wait
    there, and the rest here, where licenses take turns.
    """
    ahead = max(_AHEAD_MIN, _AHEAD_EACH * flight.running)
    left = flight_max - flight.dispatched - flight.running
    return max(0, min(ahead - flight.dispatched, left))


def choose(
    waiting: Sequence[Waiting],
    before: Turn,
    *,
    room: int,
    quantum_records: int,
    small_job_records: int,
) -> Turn:
    """Choose at most `room` chunks, small jobs first in their share of it."""
    small = [chunk for chunk in waiting if chunk.job_records <= small_job_records]
    share = min(len(small), -(-room // _SMALL_SHARE))
    first = set(
        _rounds(small, Turn(last=before.last), share, quantum_records).chunk_ids
    )
    rest = [chunk for chunk in waiting if chunk.chunk_id not in first]
    then = _rounds(rest, before, room - len(first), quantum_records)
    ordered = [chunk.chunk_id for chunk in small if chunk.chunk_id in first]
    return then._replace(chunk_ids=(*ordered, *then.chunk_ids))


def _rounds(
    waiting: Sequence[Waiting], before: Turn, room: int, quantum_records: int
) -> Turn:
    queues: dict[str, deque[Waiting]] = {}
    for chunk in waiting:
        queues.setdefault(chunk.license_id, deque()).append(chunk)
    kept = {name: before.deficits.get(name, 0) for name in queues}
    chosen: list[int] = []
    last = before.last
    while len(chosen) < room and queues:
        for name in _from_after(last, queues):
            if len(chosen) >= room:
                break
            queue = queues[name]
            kept[name] += quantum_records
            while queue and len(chosen) < room and queue[0].records <= kept[name]:
                chunk = queue.popleft()
                kept[name] -= chunk.records
                chosen.append(chunk.chunk_id)
            last = name
            if not queue:
                del queues[name]
    deficits = {
        # No debt grows while the room is short: a turn's worth is kept at most.
        name: min(kept[name], max(quantum_records, queue[0].records))
        for name, queue in queues.items()
    }
    return Turn(tuple(chosen), deficits, last)


def _from_after(last: str, names: Iterable[str]) -> list[str]:
    """All names in their order, beginning with the one after `last`."""
    ordered = sorted(names)
    at = bisect_right(ordered, last)
    return ordered[at:] + ordered[:at]
