"""Whose chunk goes next."""

from storage.jobs.dispatch_queue import InFlight, Waiting
from worker.jobs.fair_scheduler import Turn, choose, free_places


def _chunks(license_id: str, job_records: int, ids: range, records: int = 1000):
    return [
        Waiting(license_id, f"job-{license_id}", job_records, chunk_id, records)
        for chunk_id in ids
    ]


def _choose(waiting, before=None, room=8):
    return choose(
        waiting,
        before or Turn(),
        room=room,
        quantum_records=1000,
        small_job_records=50,
    )


def test_licenses_take_turns():
    waiting = _chunks("big", 1_000_000, range(10)) + _chunks(
        "other", 3000, range(20, 23)
    )
    assert _choose(waiting, room=4).chunk_ids == (0, 20, 1, 21)


def test_a_small_job_goes_first_in_its_share_of_the_room():
    waiting = _chunks("big", 1_000_000, range(10)) + _chunks("small", 10, range(20, 21))
    assert _choose(waiting, room=4).chunk_ids == (20, 0, 1, 2)


def test_a_flood_of_small_jobs_keeps_nobody_waiting_for_two_turns():
    small = _chunks("small", 10, range(20, 40), records=10)
    big = _chunks("big", 1_000_000, range(4))
    first = _choose(small + big, room=4)
    second = _choose(small + big, first, room=4)
    assert {0, 1, 2, 3} & {*first.chunk_ids, *second.chunk_ids}


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


def test_few_wait_in_the_broker_however_many_may_be_in_flight():
    assert free_places(InFlight(0, 0), flight_max=64) == 8
    assert free_places(InFlight(8, 0), flight_max=64) == 0


def test_more_may_wait_there_where_more_are_run():
    assert free_places(InFlight(8, 10), flight_max=64) == 22
    assert free_places(InFlight(30, 10), flight_max=64) == 0
    assert free_places(InFlight(20, 30), flight_max=64) == 14
    assert free_places(InFlight(60, 10), flight_max=64) == 0
