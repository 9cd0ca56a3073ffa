"""Whose chunk goes next."""

import itertools
from math import ceil

import pytest
from hypothesis import given, strategies

from storage.job_priority import Priority
from storage.jobs.dispatch_queue import InFlight, Waiting
from worker.jobs.fair_scheduler import Room, Turn, Turns, choose, free_places


def _chunks(license_id: str, job_records: int, ids: range, records: int = 1000):
    return [
        Waiting(license_id, f"job-{license_id}", job_records, chunk_id, records)
        for chunk_id in ids
    ]


def _choose_all(waiting, before=None, room=Room(8, 8)):  # noqa: B008 - never changed
    return choose(
        waiting,
        before or Turns(),
        room=room,
        quantum_records=1000,
        small_job_records=50,
    )


def _choose(waiting, before=None, room=8):
    """Where there are no small jobs."""
    turns = _choose_all(waiting, Turns(other=before or Turn()), Room(0, room))
    return turns.other


def test_licenses_take_turns():
    waiting = _chunks("big", 1_000_000, range(10)) + _chunks(
        "other", 3000, range(20, 23)
    )
    assert _choose(waiting, room=4).chunk_ids == (0, 20, 1, 21)


def test_a_small_job_takes_no_place_of_others_and_they_none_of_its():
    waiting = _chunks("big", 1_000_000, range(10)) + _chunks("small", 10, range(20, 21))
    turns = _choose_all(waiting, room=Room(small=2, other=3))
    assert turns.small.chunk_ids == (20,)
    assert turns.other.chunk_ids == (0, 1, 2)
    assert _choose_all(waiting, room=Room(2, 0)).small.chunk_ids == (20,)


def test_where_small_jobs_have_no_queue_they_take_their_share_of_the_others():
    waiting = _chunks("big", 1_000_000, range(10)) + _chunks("small", 10, range(20, 23))
    turns = _choose_all(waiting, room=Room(small=1, other=4, apart=False))
    assert turns.small.chunk_ids == (20,)
    assert turns.other.chunk_ids == (0, 1, 2)


def test_licenses_with_many_small_jobs_take_turns():
    waiting = [
        chunk
        for place, license_id in enumerate("abc")
        for chunk in _chunks(
            license_id, 10, range(10 * place, 10 * place + 9), records=10
        )
    ]
    turns, served = Turns(), []
    for _ in range(3):
        turns = _choose_all(waiting, turns, Room(small=1, other=0))
        served += turns.small.chunk_ids
        waiting = [chunk for chunk in waiting if chunk.chunk_id not in served]
    assert served == [0, 10, 20]


def test_without_room_nobody_goes():
    assert _choose(_chunks("big", 5000, range(5)), room=0).chunk_ids == ()


def test_a_chunk_larger_than_the_quantum_saves_up_for_its_turn():
    waiting = _chunks("large", 9000, range(3), records=3000) + _chunks(
        "fine", 9000, range(10, 19)
    )
    assert _choose(waiting, room=4).chunk_ids == (10, 11, 12, 0)


def test_the_one_after_who_was_served_last_begins():
    waiting = _chunks("a", 9000, range(3)) + _chunks("b", 9000, range(10, 13))
    first = _choose(waiting, room=1)
    assert (first.chunk_ids, first.last) == ((0,), "a")
    assert _choose(waiting, first, room=1).chunk_ids == (10,)


def test_a_license_that_comes_new_waits_for_one_turn_of_the_others():
    busy = [
        *_chunks("a", 900_000, range(900)),
        *_chunks("b", 900_000, range(1000, 1900)),
    ]
    turn = Turn()
    for _ in range(500):
        turn = _choose(busy, turn, room=1)
        busy = [chunk for chunk in busy if chunk.chunk_id not in turn.chunk_ids]
    new = _chunks("c", 100, range(5000, 5001), records=100)
    served = []
    for _ in range(3):
        turn = _choose(busy + new, turn, room=1)
        served += turn.chunk_ids
        busy = [chunk for chunk in busy if chunk.chunk_id not in turn.chunk_ids]
    assert 5000 in served
    assert max(turn.deficits.values()) <= 1000


def test_a_license_that_has_nothing_left_keeps_nothing():
    assert _choose(_chunks("a", 900, range(1), records=900)).deficits == {}


def _others(dispatched: int, running: int) -> int:
    flight = InFlight({"chunks": dispatched}, running)
    return free_places(flight, flight_max=64, small_queue="small").other


def test_few_wait_in_the_broker_however_many_may_be_in_flight():
    assert _others(0, 0) == 8
    assert _others(8, 0) == 0


def test_more_may_wait_there_where_more_are_run():
    assert _others(8, 10) == 22
    assert _others(30, 10) == 0
    assert _others(20, 30) == 14
    assert _others(60, 10) == 0


def test_small_jobs_have_a_quarter_of_the_places_whatever_else_waits():
    flight = InFlight({"chunks": 60, "small": 3}, 10)
    room = free_places(flight, flight_max=64, small_queue="small")
    assert room == Room(small=13, other=0)
    assert free_places(flight, flight_max=2, small_queue="small").small == 0
    empty = InFlight({}, 0)
    assert free_places(empty, flight_max=1, small_queue="small") == Room(1, 1)


def test_without_a_queue_of_their_own_they_have_a_quarter_of_what_is_free():
    flight = InFlight({"chunks": 3}, 0)
    assert free_places(flight, flight_max=64) == Room(small=2, other=5, apart=False)


def _served(waiting, weights, ticks, room=1):
    """What goes in so many looks, each with room for so many chunks."""
    turn = Turn()
    served: list[int] = []
    for _ in range(ticks):
        turn = choose(
            waiting,
            Turns(other=turn),
            room=Room(0, room),
            quantum_records=1000,
            small_job_records=50,
            weights=weights,
        ).other
        served += turn.chunk_ids
        waiting = [chunk for chunk in waiting if chunk.chunk_id not in turn.chunk_ids]
    return served


@pytest.mark.parametrize("room", [1, 3, 34])
def test_a_license_has_its_weight_s_share_whether_places_come_by_ones_or_many(room):
    waiting = _chunks("heavy", 200_000, range(200)) + _chunks(
        "light", 200_000, range(1000, 1200)
    )
    weights = {"heavy": 4.0, "light": 0.25}
    served = _served(waiting, weights, ticks=102 // room, room=room)
    assert len([one for one in served if one < 1000]) == 16 * len(
        [one for one in served if one >= 1000]
    )


def test_of_small_jobs_it_is_chunks_that_count():
    waiting = _chunks("tens", 10, range(9), records=10) + _chunks(
        "ones", 1, range(10, 19), records=1
    )
    turns = choose(
        waiting,
        Turns(),
        room=Room(6, 0),
        quantum_records=1000,
        small_job_records=50,
        weights={"tens": 2.0},
    )
    assert turns.small.chunk_ids == (10, 0, 1, 11, 2, 3)


def _of_priority(priority: Priority, ids: range, license_id: str = "a"):
    return [
        chunk._replace(priority=priority) for chunk in _chunks(license_id, 900_000, ids)
    ]


def test_the_urgent_go_first_and_the_oldest_is_overtaken_three_times_at_most():
    waiting = [
        *_of_priority(Priority.LOW, range(2)),
        *_of_priority(Priority.NORMAL, range(10, 12)),
        *_of_priority(Priority.HIGH, range(20, 24)),
    ]
    expected = [20, 21, 22, 0, 23, 10, 11, 1]
    assert list(_choose(waiting, room=8).chunk_ids) == expected
    assert _served(waiting, {}, ticks=8) == expected


def test_priority_is_within_a_license_alone():
    waiting = _of_priority(Priority.LOW, range(2), "a") + _of_priority(
        Priority.HIGH, range(10, 12), "b"
    )
    assert _choose(waiting, room=4).chunk_ids == (0, 10, 1, 11)


_WEIGHTS = strategies.sampled_from([0.25, 0.5, 1.0, 1.75, 4.0])
_LICENSES = ("a", "b", "c", "d")
_QUANTUM = 20


class _Line:
    """What waits in one queue, to which more comes all the time."""

    def __init__(self, data, weights, *, is_small: bool) -> None:
        self.waiting: list[Waiting] = []
        self.turns = Turns()
        self.sent: list[Waiting] = []
        self._data = data
        self._weights = weights
        self._is_small = is_small
        self._ids = itertools.count()

    def come(self, license_id: str, priority: Priority) -> Waiting:
        """A chunk, younger than all."""
        records = self._data.draw(strategies.integers(1, _QUANTUM))
        of_job = 1 if self._is_small else 1000
        new = Waiting(license_id, "job", of_job, next(self._ids), records, priority)
        self.waiting.append(new)
        return new

    def look(self, room: int) -> None:
        """Let so many go."""
        self.turns = choose(
            self.waiting,
            self.turns,
            room=Room(room, room),
            quantum_records=_QUANTUM,
            small_job_records=50,
            weights=self._weights,
        )
        went = self.turns.small.chunk_ids + self.turns.other.chunk_ids
        by_id = {chunk.chunk_id: chunk for chunk in self.waiting}
        self.sent += [by_id[one] for one in went]
        self.waiting = [one for one in self.waiting if one.chunk_id not in went]

    def cost(self, sent: list[Waiting], license_id: str) -> int:
        """What a license had of what was sent: records, or chunks of small jobs."""
        own = [one.records for one in sent if one.license_id == license_id]
        return len(own) if self._is_small else sum(own)


@given(data=strategies.data(), is_small=strategies.booleans())
def test_each_chunk_goes_within_the_stated_rounds_whatever_comes_after_it(
    data, is_small
):
    """In so many rounds no other license can have had more than its weight says."""
    weights = {name: data.draw(_WEIGHTS, label=name) for name in _LICENSES}
    line = _Line(data, weights, is_small=is_small)
    priorities = strategies.sampled_from(Priority)
    for name in _LICENSES:
        for _ in range(data.draw(strategies.integers(0, 6))):
            line.come(name, data.draw(priorities))
    for room in data.draw(strategies.lists(strategies.integers(1, 7), max_size=4)):
        line.look(room)
    mine = line.come("a", Priority.LOW)
    older = sum(one.license_id == "a" for one in line.waiting) - 1
    since = len(line.sent)
    while mine not in line.sent:
        # All have more than enough to do, and what is new is urgent.
        for name in _LICENSES:
            while sum(one.license_id == name for one in line.waiting) < older + 8:
                line.come(name, Priority.HIGH)
        line.look(data.draw(strategies.integers(1, 7)))
    before = line.sent[since : line.sent.index(mine)]
    assert sum(one.license_id == "a" for one in before) < 4 * (older + 1)
    rounds = ceil(4 * (older + 1) / weights["a"])
    quantum, largest = (1, 1) if is_small else (_QUANTUM, _QUANTUM)
    for name in _LICENSES[1:]:
        # Those of the rounds, and what was left of one that had begun.
        may_have = (rounds + 1) * weights[name] * quantum + largest
        assert line.cost(before, name) <= may_have
