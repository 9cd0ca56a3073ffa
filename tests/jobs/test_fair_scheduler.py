"""Whose chunk goes next."""

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
