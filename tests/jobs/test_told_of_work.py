"""Whatever makes something wait to be handed out says so, and nothing else does."""

import threading
import time
from contextlib import closing

import psycopg
import pytest
from sqlalchemy import make_url, text

from pricing.settlement import Outcome
from storage.jobs import chunks, job_control, outbox
from storage.jobs.chunks import Batch
from storage.jobs.outcomes import RecordOutcome
from storage.listener import WORK, Listener
from tests.support.stored_jobs import make_job, make_license

_SOON_S = 10.0
_FOR_EVER_S = 60.0


@pytest.fixture
def hears(database):
    """Whether something was said since it was last asked."""
    with closing(Listener(database, WORK)) as listener:
        listener.wait(threading.Event(), 0)

        def hears() -> bool:
            # What was committed before is heard before what is said now.
            with database.transaction() as connection:
                connection.execute(text(f"SELECT pg_notify('{WORK}', 'mark')"))
            said: list[str] = []
            own = listener._connection
            assert own is not None
            while "mark" not in said:
                said += [one.payload for one in own.notifies(timeout=1, stop_after=1)]
            return said != ["mark"]

        yield hears


@pytest.fixture
def chunk(database):
    """A chunk that a worker holds, of a job with a second one, and nothing else."""
    with database.transaction() as connection:
        make_license(connection)
        make_job(connection, "job-1", 0, kind="export", chunks=[2, 2])
        first, second = connection.execute(
            text("SELECT id FROM chunks ORDER BY id")
        ).scalars()
        chunks.take(connection, second, owner="two", lease_s=60)
        return chunks.take(connection, first, owner="one", lease_s=60)


def test_a_new_job_is_told_of(database, hears):
    with database.transaction() as connection:
        make_license(connection)
        make_job(connection, "job-1", 0, kind="export", chunks=[2])
    assert hears()


def test_a_chunk_that_is_given_back_is_told_of_where_it_is_due(database, chunk, hears):
    with database.transaction() as connection:
        chunks.give_back(connection, chunk, delay_s=3600)
    assert not hears()
    with database.transaction() as connection:
        connection.execute(text("UPDATE chunks SET run_at = clock_timestamp()"))
    assert hears()


def test_a_chunk_that_is_run_or_ends_is_not_told_of_where_nothing_waits(
    database, chunk, hears
):
    with database.transaction() as connection:
        chunks.renew(connection, chunk, lease_s=60)
        _end(connection, chunk)
    assert not hears()


def test_a_chunk_that_ends_makes_room_for_one_that_waits(database, chunk, hears):
    with database.transaction() as connection:
        make_job(connection, "job-2", 0, kind="export", chunks=[2])
    assert hears()
    with database.transaction() as connection:
        _end(connection, chunk)
    assert hears()


def _end(connection, chunk) -> None:
    outcomes = [
        RecordOutcome(place + 1, f"c{place}", None, Outcome.EXCLUDED)
        for place in range(chunk.cursor, chunk.stop)
    ]
    batch = Batch.of(chunk.cursor, outcomes=outcomes, claims=[])
    chunks.checkpoint(connection, chunk, batch, lease_s=60)


def test_an_entry_is_told_of_unless_who_put_it_in_has_taken_it(database, hears):
    with database.transaction() as connection:
        outbox.put(connection, "test", "a")
        held = outbox.take_new(connection, "test", "a", owner="one", lease_s=60)
    assert held is not None
    assert not hears()
    with database.transaction() as connection:
        outbox.give_back(connection, held, delay_s=0, error="it failed")
    assert hears()
    with database.transaction() as connection:
        outbox.put(connection, "test", "b")
    assert hears()


def test_an_entry_is_taken_as_new_once_and_by_nobody_after_it_was_tried(database):
    with database.transaction() as connection:
        outbox.put(connection, "test", "a")
        held = outbox.take_new(connection, "test", "a", owner="one", lease_s=60)
        assert held is not None
        assert (held.topic, held.key, held.attempt) == ("test", "a", 1)
        again = outbox.take_new(connection, "test", "a", owner="two", lease_s=60)
        assert again is None
        outbox.give_back(connection, held, delay_s=0, error="it failed")
        again = outbox.take_new(connection, "test", "a", owner="two", lease_s=60)
        assert again is None


def test_a_job_that_is_resumed_is_told_of(database, hears):
    with database.transaction() as connection:
        make_license(connection)
        make_job(connection, "job-1", 0, kind="export", chunks=[2])
        job_control.pause(connection, "job-1")
        job_control.come_to_rest(connection, "job-1")
    hears()
    with database.transaction() as connection:
        job_control.resume(connection, "job-1")
    assert hears()


# -- The listener --------------------------------------------------------------


def _took_s(listener: Listener, stop: threading.Event, timeout_s: float) -> float:
    began_s = time.monotonic()
    listener.wait(stop, timeout_s)
    return time.monotonic() - began_s


def _say(database) -> None:
    with database.transaction() as connection:
        connection.execute(text(f"SELECT pg_notify('{WORK}', '')"))


def test_a_listener_that_begins_lets_its_caller_look_at_once(database):
    with closing(Listener(database, WORK)) as listener:
        assert _took_s(listener, threading.Event(), _FOR_EVER_S) < _SOON_S


def test_a_listener_hears_what_was_said_before_it_waits_and_after(database):
    stop = threading.Event()
    with closing(Listener(database, WORK)) as listener:
        listener.wait(stop, 0)
        _say(database)
        assert _took_s(listener, stop, _FOR_EVER_S) < _SOON_S
        later = threading.Timer(0.2, _say, [database])
        later.start()
        assert _took_s(listener, stop, _FOR_EVER_S) < _SOON_S
        later.join()


def test_a_listener_stops_where_it_is_told_to(database):
    stop = threading.Event()
    with closing(Listener(database, WORK)) as listener:
        listener.wait(stop, 0)
        threading.Timer(0.2, stop.set).start()
        assert _took_s(listener, stop, _FOR_EVER_S) < _SOON_S


def test_a_listener_whose_connection_is_lost_waits_and_listens_again(database):
    stop = threading.Event()
    with closing(Listener(database, WORK)) as listener:
        listener.wait(stop, 0)
        _end_other_connections(database)
        began_s = time.monotonic()
        listener.wait(stop, 0.3)
        assert time.monotonic() - began_s >= 0.3
        listener._rest_s = 0.0
        # It has begun anew: what was said meanwhile, nobody has heard.
        assert _took_s(listener, stop, _FOR_EVER_S) < _SOON_S
        _say(database)
        assert _took_s(listener, stop, _FOR_EVER_S) < _SOON_S


def _end_other_connections(database) -> None:
    url = make_url(database.url).set(drivername="postgresql")
    with psycopg.connect(
        url.render_as_string(hide_password=False), autocommit=True
    ) as one:
        one.execute("""
            SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> pg_backend_pid()""")


def test_what_others_listen_to_on_a_shared_server_is_not_kept(database):
    with database.transaction() as connection:
        connection.execute(text(f"LISTEN {WORK}"))
    for _ in range(3):
        _say(database)
    with database.transaction() as connection:
        kept = connection.connection.driver_connection._notifies_backlog
    assert not kept
