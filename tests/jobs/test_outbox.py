"""The outbox: put once, held by one, done once, given back when it fails."""

import pytest
from sqlalchemy import Connection, text

from storage.database import Database
from storage.jobs import dispatch_queue, lost_work, outbox

HOUR_S = 3600.0


def _put(database: Database, key: str = "job-1") -> int:
    with database.transaction() as connection:
        outbox.put(connection, "job.complete", key)
        entry_id: int = connection.execute(
            text("SELECT id FROM outbox WHERE key = :key"), {"key": key}
        ).scalar_one()
    return entry_id


def _take(connection: Connection, entry_id: int) -> outbox.Taken | None:
    return outbox.take(connection, entry_id, owner="worker", lease_s=HOUR_S)


def _take_one(database: Database) -> outbox.Taken:
    entry_id = _put(database)
    with database.transaction() as connection:
        taken = _take(connection, entry_id)
    assert taken is not None
    return taken


def _let_the_lease_lapse(connection: Connection) -> None:
    connection.execute(
        text("UPDATE outbox SET lease_until = clock_timestamp() - interval '1 s'")
    )


def test_what_is_put_twice_is_there_once(database):
    assert _put(database) == _put(database)
    with database.transaction() as connection:
        outbox.put(connection, "event.fan_out", "job-1")
        outbox.put(connection, "job.complete", "job-2")
        assert connection.execute(text("SELECT count(*) FROM outbox")).scalar() == 3


def test_what_was_done_is_not_put_again(database):
    taken = _take_one(database)
    with database.transaction() as connection:
        outbox.done(connection, taken)
    _put(database)
    with database.transaction() as connection:
        assert dispatch_queue.mark_entries(connection, limit=10) == []


def test_a_held_entry_is_nobody_elses(database):
    taken = _take_one(database)
    assert (taken.topic, taken.key, taken.attempt) == ("job.complete", "job-1", 1)
    with database.transaction() as connection:
        assert _take(connection, taken.id) is None


def test_an_entry_handed_to_the_broker_can_be_taken(database):
    entry_id = _put(database)
    with database.transaction() as connection:
        assert dispatch_queue.mark_entries(connection, limit=10) == [entry_id]
        assert dispatch_queue.mark_entries(connection, limit=10) == []
        assert _take(connection, entry_id) is not None


def test_an_entry_is_done_once(database):
    taken = _take_one(database)
    with database.transaction() as connection:
        assert outbox.done(connection, taken)
    with database.transaction() as connection:
        assert not outbox.done(connection, taken)
        assert _take(connection, taken.id) is None


def test_an_entry_that_failed_waits_and_then_counts_its_attempts(database):
    taken = _take_one(database)
    with database.transaction() as connection:
        assert outbox.give_back(connection, taken, delay_s=HOUR_S, error="disk full")
        assert _take(connection, taken.id) is None
        connection.execute(text("UPDATE outbox SET run_at = clock_timestamp()"))
        again = _take(connection, taken.id)
        error = connection.execute(text("SELECT last_error FROM outbox")).scalar()
    assert again is not None
    assert (again.attempt, error) == (2, "disk full")


def test_an_entry_whose_lease_lapsed_is_tried_again(database):
    taken = _take_one(database)
    with database.transaction() as connection:
        assert lost_work.bring_back_entries(connection, delay_s=0) == 0
        _let_the_lease_lapse(connection)
        assert lost_work.bring_back_entries(connection, delay_s=0) == 1
        again = _take(connection, taken.id)
    assert again is not None
    assert again.attempt == 2


def test_a_renewed_lease_does_not_lapse(database):
    taken = _take_one(database)
    with database.transaction() as connection:
        _let_the_lease_lapse(connection)
        assert outbox.renew(connection, taken, lease_s=HOUR_S)
        assert lost_work.bring_back_entries(connection, delay_s=0) == 0


@pytest.mark.parametrize(
    "act",
    [
        outbox.done,
        lambda connection, taken: outbox.renew(connection, taken, lease_s=HOUR_S),
        lambda connection, taken: outbox.give_back(
            connection, taken, delay_s=0, error="late"
        ),
    ],
)
def test_whoever_comes_late_changes_nothing(database, act):
    late = _take_one(database)
    with database.transaction() as connection:
        _let_the_lease_lapse(connection)
        lost_work.bring_back_entries(connection, delay_s=0)
        now = _take(connection, late.id)
        before = connection.execute(text("SELECT * FROM outbox")).all()
        assert not act(connection, late)
        assert connection.execute(text("SELECT * FROM outbox")).all() == before
        assert now is not None
        assert act(connection, now)


def test_what_the_broker_did_not_take_waits_again(database):
    entry_id = _put(database)
    with database.transaction() as connection:
        dispatch_queue.mark_entries(connection, limit=10)
        dispatch_queue.unmark(connection, chunk_ids=[], entry_ids=[entry_id])
        assert dispatch_queue.mark_entries(connection, limit=10) == [entry_id]


def test_entries_are_handed_over_oldest_first_and_no_more_than_asked(database):
    ids = [_put(database, f"job-{number}") for number in range(3)]
    with database.transaction() as connection:
        assert dispatch_queue.mark_entries(connection, limit=2) == ids[:2]
        assert dispatch_queue.mark_entries(connection, limit=2) == ids[2:]


def test_no_more_entries_are_handed_over_than_asked_whichever_plan_is_taken(database):
    ids = [_put(database, f"job-{number}") for number in range(3)]
    with database.transaction() as connection:
        for way in ("hashjoin", "mergejoin", "hashagg", "material", "sort"):
            connection.execute(text(f"SET LOCAL enable_{way} = off"))
        assert dispatch_queue.mark_entries(connection, limit=2) == ids[:2]


def test_deliveries_leave_room_for_everything_else(database):
    with database.transaction() as connection:
        for number in range(5):
            outbox.put(connection, "webhook.deliver", str(number))
        outbox.put(connection, "job.complete", "job-1")
        ids = connection.execute(text("SELECT id FROM outbox ORDER BY id")).scalars()
        *deliveries, completion = ids

    def mark() -> list[int]:
        with database.transaction() as connection:
            return dispatch_queue.mark_entries(connection, limit=10, deliveries_max=2)

    assert mark() == [*deliveries[:2], completion]
    assert mark() == []
    with database.transaction() as connection:
        taken = _take(connection, deliveries[0])
        assert taken is not None
    assert mark() == []
    with database.transaction() as connection:
        outbox.done(connection, taken)
    assert mark() == [deliveries[2]]
