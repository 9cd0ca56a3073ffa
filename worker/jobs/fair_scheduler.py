"""Whose chunk goes next: weighted deficit round robin over licenses. Pure.

In each round a license earns a quantum of records, times its weight, and spends it on
its chunks; what it could not spend it keeps while it has work. Where the places end in
the middle of its turn, it goes on with that turn when there are places again. Small
jobs have places of their own, so that ten records never wait behind a million; there a
license earns a chunk in each round, times its weight, whatever its records.

Within a license chunks go by priority and then by age, but the oldest that waits is
overtaken three times at most. So each chunk goes within a number of rounds, whatever
comes after it: where `older` chunks of its license wait before it, and no chunk has
more records than the quantum, within `4 x (older + 1) / weight` of them, rounded up.
The rounds of others are as long as their weights say, so none is left waiting for ever.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from storage.jobs.dispatch_queue import InFlight, Waiting

OVERTAKEN_MAX = 3
"""So many chunks of its license go before the oldest one, by their priority."""

_SMALL_SHARE = 4
"""For so many places small jobs have one of their own."""

_AHEAD_MIN = 8
_AHEAD_EACH = 3
"""So many chunks wait in the broker for each that runs, and never fewer than the least:
enough to keep workers busy between two turns."""


class Turn(NamedTuple):
    """The chunks that go, and how the next turn goes on.

    `deficits` is what each license may still spend, `overtaken` how often its oldest
    chunk was passed over, `last` the license that was served last. The one after it
    begins, unless the places ended before its own turn did.
    """

    chunk_ids: tuple[int, ...] = ()
    deficits: Mapping[str, float] = MappingProxyType({})
    overtaken: Mapping[str, int] = MappingProxyType({})
    last: str = ""
    is_cut_short: bool = False


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
    weights: Mapping[str, float] = MappingProxyType({}),
) -> Turns:
    """Choose the chunks that go; those of small jobs beside all others.

    They come in the order of their age. A license without one has a weight of 1.
    """
    small = [chunk for chunk in waiting if chunk.job_records <= small_job_records]
    rest = [chunk for chunk in waiting if chunk.job_records > small_job_records]
    first = _rounds(small, before.small, room.small, _Quantum(None, weights))
    taken = 0 if room.apart else len(first.chunk_ids)
    by_records = _Quantum(quantum_records, weights)
    then = _rounds(rest, before.other, room.other - taken, by_records)
    return Turns(first, then)


class _Quantum(NamedTuple):
    """What a license earns in a round: so many records, or else a chunk."""

    records: int | None
    weights: Mapping[str, float]

    def of(self, license_id: str) -> float:
        return (self.records or 1) * self.weights.get(license_id, 1.0)

    def cost(self, chunk: Waiting) -> int:
        return 1 if self.records is None else chunk.records


_Aged = tuple[int, Waiting]
"""A chunk, and its place by age among all that wait."""


class _Queue:
    """What waits of one license, the oldest and the most urgent at hand."""

    def __init__(self, name: str, before: Turn, quantum: _Quantum) -> None:
        self.kept = before.deficits.get(name, 0.0)
        self.overtaken = before.overtaken.get(name, 0)
        self.by_priority: dict[int, deque[_Aged]] = {}
        self._earns = quantum.of(name)
        self._cost = quantum.cost

    def __bool__(self) -> bool:
        return bool(self.by_priority)

    def earn(self) -> None:
        """Begin a round."""
        self.kept += self._earns

    @property
    def can_go(self) -> bool:
        """Whether there is a next one, and enough is kept for it."""
        if not self.by_priority:
            return False
        _, chunk = self.by_priority[self._next()][0]
        return self._cost(chunk) <= self.kept

    def pop(self) -> Waiting:
        """Pay for the next one."""
        priority = self._next()
        self.overtaken = 0 if priority == self._oldest() else self.overtaken + 1
        chunks = self.by_priority[priority]
        _, chunk = chunks.popleft()
        if not chunks:
            del self.by_priority[priority]
        self.kept -= self._cost(chunk)
        return chunk

    def _next(self) -> int:
        """The priority of the next one."""
        if self.overtaken < OVERTAKEN_MAX:
            return max(self.by_priority)
        return self._oldest()

    def _oldest(self) -> int:
        """The priority of the oldest one."""
        return min(self.by_priority, key=lambda priority: self.by_priority[priority][0])


def _queues(
    waiting: Sequence[Waiting], before: Turn, quantum: _Quantum
) -> dict[str, _Queue]:
    grouped: dict[tuple[str, int], deque[_Aged]] = {}
    for aged in enumerate(waiting):
        chunk = aged[1]
        grouped.setdefault((chunk.license_id, chunk.priority), deque()).append(aged)
    queues: dict[str, _Queue] = {}
    for (name, priority), chunks in grouped.items():
        if name not in queues:
            queues[name] = _Queue(name, before, quantum)
        queues[name].by_priority[priority] = chunks
    return queues


def _rounds(
    waiting: Sequence[Waiting], before: Turn, room: int, quantum: _Quantum
) -> Turn:
    queues = _queues(waiting, before, quantum)
    names = sorted(queues)
    last, is_cut_short = before.last, before.is_cut_short
    chosen: list[int] = []
    while names and len(chosen) < room:
        if not is_cut_short or last not in queues:
            last = names[bisect_right(names, last) % len(names)]
            queues[last].earn()
        queue = queues[last]
        while queue.can_go and len(chosen) < room:
            chosen.append(queue.pop().chunk_id)
        is_cut_short = queue.can_go
        if not queue:
            del queues[last]
            names.remove(last)
    return Turn(
        tuple(chosen),
        {name: queue.kept for name, queue in queues.items()},
        {name: queue.overtaken for name, queue in queues.items()},
        last,
        is_cut_short,
    )
