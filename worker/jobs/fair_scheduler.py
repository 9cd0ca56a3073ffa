"""Whose chunk goes next: deficit round robin over licenses. Pure.

Each license in turn earns a quantum of records and spends it on its oldest chunks;
what it could not spend it keeps while it has work. Small jobs have places of their own,
so that ten records never wait behind a million.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from storage.jobs.dispatch_queue import InFlight, Waiting

_SMALL_SHARE = 4
"""For so many places small jobs have one of their own."""

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


class Turns(NamedTuple):
    """The chunks of small jobs that go, and all others."""

    small: Turn = Turn()
    other: Turn = Turn()


class Room(NamedTuple):
    """How many chunks more may go: of small jobs, and of all others.

    The small ones stand `apart` where the broker has a queue for them alone; where not,
    they take their share of the others' places.
    """

    small: int
    other: int
    apart: bool = True


def free_places(
    flight: InFlight, *, flight_max: int, small_queue: str | None = None
) -> Room:
    """How many chunks more may go to the broker.

    A broker hands out what it was given first, whoever has come since: few may wait
    there, and the rest here, where licenses take turns.
    """
    small = flight.dispatched.get(small_queue, 0) if small_queue else 0
    other = sum(flight.dispatched.values()) - small
    ahead = max(_AHEAD_MIN, _AHEAD_EACH * flight.running)
    room = max(0, min(ahead - other, flight_max - flight.running - other))
    if small_queue is None:
        return Room(small=_share(room), other=room, apart=False)
    return Room(small=max(0, min(ahead, _share(flight_max)) - small), other=room)


def _share(places: int) -> int:
    return -(-places // _SMALL_SHARE)


def choose(
    waiting: Sequence[Waiting],
    before: Turns,
    *,
    room: Room,
    quantum_records: int,
    small_job_records: int,
) -> Turns:
    """Choose the chunks that go; those of small jobs beside all others."""
    small = [chunk for chunk in waiting if chunk.job_records <= small_job_records]
    rest = [chunk for chunk in waiting if chunk.job_records > small_job_records]
    first = _rounds(small, before.small, room.small, quantum_records)
    taken = 0 if room.apart else len(first.chunk_ids)
    then = _rounds(rest, before.other, room.other - taken, quantum_records)
    return Turns(first, then)


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
