"""Chunks: held by one worker at a time; what a late one does changes nothing."""

from functools import partial

import pytest
from sqlalchemy import Connection, text

from pricing.settlement import Outcome
from storage.database import Database
from storage.errors import Superseded
from storage.exports import file_parts
from storage.files.artifacts import Written
from storage.jobs import chunks, dispatch_queue, job_control, jobs, lost_work
from storage.jobs.chunks import Batch, TakenChunk
from storage.jobs.outcomes import RecordOutcome
from storage.ledger import reservations
from storage.state_machine import JobState
from tests.support.stored_jobs import claim, end_job, make_job, make_license

HOUR_S = 3600.0

_TABLES = (
    "chunks",
    "charges",
    "transfers",
    "reservations",
    "periods",
    "jobs",
    "outcomes",
    "parts",
    "outbox",
    "entitlements",
)


@pytest.fixture
def job(database: Database) -> Database:
    """A job of one chunk of five records, at a credit each."""
    with database.transaction() as connection:
        make_license(connection)
        make_job(connection, "job-1", 5, kind="export", chunks=[5])
    return database


def _chunk_ids(connection: Connection) -> list[int]:
    return list(connection.execute(text("SELECT id FROM chunks ORDER BY id")).scalars())


def _take(connection: Connection, chunk_id: int | None = None) -> TakenChunk | None:
    return chunks.take(
        connection,
        chunk_id or _chunk_ids(connection)[0],
        owner="worker",
        lease_s=HOUR_S,
    )


def _take_one(database: Database) -> TakenChunk:
    with database.transaction() as connection:
        chunk = _take(connection)
    assert chunk is not None
    return chunk


def _batch(chunk: TakenChunk, start: int, stop: int) -> Batch:
    """Deliver the companies at these positions, a credit each."""
    numbers = range(start, stop)
    return Batch.of(
        start,
        outcomes=[
            RecordOutcome(number + 1, f"c{number}", None, Outcome.DELIVERED)
            for number in numbers
        ],
        claims=[claim(f"company:c{number}=1") for number in numbers],
        keep=partial(
            file_parts.keep,
            part=Written(f"{chunk.job_id}/{start}-{chunk.attempt}", 10, "digest"),
        ),
    )


def _checkpoint(
    connection: Connection, chunk: TakenChunk, start: int, stop: int
) -> str:
    return chunks.checkpoint(
        connection, chunk, _batch(chunk, start, stop), lease_s=HOUR_S
    ).state


def _let_leases_lapse(connection: Connection) -> None:
    connection.execute(
        text("""
            UPDATE chunks SET lease_until = clock_timestamp() - interval '1 second'
             WHERE state = 'running'""")
    )


def _lapsed(connection: Connection) -> lost_work.LapsedChunk:
    _let_leases_lapse(connection)
    (lapsed,) = lost_work.lapsed_chunks(connection, limit=10)
    return lapsed


def _everything(database: Database) -> list[object]:
    with database.transaction() as connection:
        return [
            connection.execute(text(f"SELECT * FROM {table} ORDER BY 1, 2")).all()
            for table in _TABLES
        ]


def _state(connection: Connection) -> str:
    state = jobs.state_of(connection, "job-1")
    assert state is not None
    return state


# -- Taking -------------------------------------------------------------------


def test_taking_a_chunk_starts_its_job(job):
    chunk = _take_one(job)
    assert (chunk.attempt, chunk.cursor, chunk.stop) == (1, 0, 5)
    with job.transaction() as connection:
        assert _state(connection) == "running"


def test_a_held_chunk_is_nobody_elses_even_when_its_lease_has_lapsed(job):
    _take_one(job)
    with job.transaction() as connection:
        assert _take(connection) is None
        _let_leases_lapse(connection)
        assert _take(connection) is None


def test_a_chunk_handed_to_the_broker_can_be_taken(job):
    with job.transaction() as connection:
        ids = _chunk_ids(connection)
        assert dispatch_queue.mark_chunks(connection, ids, "chunks") == ids
        assert dispatch_queue.mark_chunks(connection, ids, "chunks") == []
        assert _take(connection) is not None


def test_a_chunk_that_waits_for_its_time_is_not_taken(job):
    chunk = _take_one(job)
    with job.transaction() as connection:
        chunks.give_back(connection, chunk, delay_s=HOUR_S)
        assert _take(connection) is None


@pytest.mark.parametrize(
    "state", ["pausing", "paused", "cancelling", "finishing", "cancelled"]
)
def test_a_chunk_of_a_job_that_does_not_run_is_not_taken(job, state):
    with job.transaction() as connection:
        connection.execute(
            text("""
                UPDATE jobs SET state = :state, finished_at =
                  CASE WHEN :state = 'cancelled' THEN holdfast_now() END"""),
            {"state": state},
        )
        assert _take(connection) is None
        connection.rollback()


# -- Checkpoints --------------------------------------------------------------


def test_a_checkpoint_settles_records_and_moves_on(job):
    chunk = _take_one(job)
    with job.transaction() as connection:
        assert _checkpoint(connection, chunk, 0, 2) == "running"
    with job.transaction() as connection:
        reservation = reservations.reservation_of(connection, "job-1")
        parts = file_parts.of_job(connection, "job-1")
        row = connection.execute(
            text("SELECT state, cursor, delivered FROM chunks")
        ).one()
    assert reservation is not None
    assert reservation.settled == 2
    assert parts == [("job-1/0-1", 10, "digest", 2)]
    assert row == ("running", 2, 2)


def test_the_last_checkpoint_queues_the_completion_once(job):
    chunk = _take_one(job)
    with job.transaction() as connection:
        _checkpoint(connection, chunk, 0, 2)
        assert _checkpoint(connection, chunk, 2, 5) == "finishing"
    with job.transaction() as connection:
        topics = connection.execute(text("SELECT topic, key FROM outbox")).all()
    assert topics == [(jobs.COMPLETE, "job-1")]


def test_a_checkpoint_renews_the_lease(job):
    chunk = _take_one(job)
    with job.transaction() as connection:
        _let_leases_lapse(connection)
        _checkpoint(connection, chunk, 0, 2)
        assert lost_work.lapsed_chunks(connection, limit=10) == []


def test_a_checkpoint_that_is_repeated_changes_nothing(job):
    chunk = _take_one(job)
    with job.transaction() as connection:
        _checkpoint(connection, chunk, 0, 2)
    before = _everything(job)
    with pytest.raises(Superseded), job.transaction() as connection:
        _checkpoint(connection, chunk, 0, 2)
    assert _everything(job) == before


def test_a_checkpoint_that_leaves_records_out_changes_nothing(job):
    chunk = _take_one(job)
    before = _everything(job)
    with pytest.raises(Superseded), job.transaction() as connection:
        _checkpoint(connection, chunk, 1, 2)
    assert _everything(job) == before


def test_a_late_worker_changes_nothing(job):
    late = _take_one(job)
    with job.transaction() as connection:
        lost_work.bring_back(connection, _lapsed(connection), delay_s=0)
    now = _take_one(job)
    assert now.attempt == 2
    before = _everything(job)
    with pytest.raises(Superseded), job.transaction() as connection:
        _checkpoint(connection, late, 0, 2)
    with job.transaction() as connection:
        assert not chunks.give_back(connection, late)
    assert _everything(job) == before
    with job.transaction() as connection:
        _checkpoint(connection, now, 0, 2)


def test_nothing_is_settled_once_a_cancelled_job_has_closed(job):
    chunk = _take_one(job)
    with job.transaction() as connection:
        job_control.cancel(connection, "job-1")
        _let_leases_lapse(connection)
        job_control.stop_idle_chunks(connection, "job-1")
        end_job(connection, "job-1", JobState.CANCELLED)
    before = _everything(job)
    with pytest.raises(Superseded), job.transaction() as connection:
        _checkpoint(connection, chunk, 0, 2)
    assert _everything(job) == before


def test_a_worker_learns_of_a_cancel_at_its_checkpoint(job):
    chunk = _take_one(job)
    with job.transaction() as connection:
        job_control.cancel(connection, "job-1")
    with job.transaction() as connection:
        assert _checkpoint(connection, chunk, 0, 2) == "cancelling"


# -- Giving back --------------------------------------------------------------


def test_whoever_takes_a_chunk_next_goes_on_from_the_cursor(job):
    chunk = _take_one(job)
    with job.transaction() as connection:
        _checkpoint(connection, chunk, 0, 2)
        assert chunks.give_back(connection, chunk)
    again = _take_one(job)
    assert (again.attempt, again.cursor, again.failures) == (2, 2, 0)


def test_failures_are_counted_until_there_is_progress(job):
    for failures in range(3):
        chunk = _take_one(job)
        assert chunk.failures == failures
        with job.transaction() as connection:
            chunks.give_back(connection, chunk, error="DiskFull")
    chunk = _take_one(job)
    with job.transaction() as connection:
        _checkpoint(connection, chunk, 0, 2)
        chunks.give_back(connection, chunk)
    assert _take_one(job).failures == 0


# -- What the sweeper does ----------------------------------------------------


def test_a_lapsed_chunk_comes_back_with_its_crash_counted(job):
    for crashes in range(3):
        _take_one(job)
        with job.transaction() as connection:
            lapsed = _lapsed(connection)
            assert lapsed.crashes == crashes
            assert lost_work.bring_back(connection, lapsed, delay_s=0)
            assert not lost_work.bring_back(connection, lapsed, delay_s=0)


def test_a_split_chunk_is_two_halves_that_cover_what_was_left(job):
    chunk = _take_one(job)
    with job.transaction() as connection:
        _checkpoint(connection, chunk, 0, 1)
        lapsed = _lapsed(connection)
        assert lost_work.split(connection, lapsed, crashes=2)
        assert not lost_work.split(connection, lapsed, crashes=2)
        halves = connection.execute(
            text("SELECT first, cursor, stop, state, crashes FROM chunks ORDER BY id")
        ).all()
    assert halves == [(0, 1, 3, "pending", 2), (3, 3, 5, "pending", 2)]
    for start, stop in [(1, 3), (3, 5)]:
        with job.transaction() as connection:
            taken = [_take(connection, chunk_id) for chunk_id in _chunk_ids(connection)]
            (half,) = [chunk for chunk in taken if chunk and chunk.cursor == start]
            state = _checkpoint(connection, half, start, stop)
            for other in taken:
                if other is not None and other is not half:
                    chunks.give_back(connection, other)
    assert state == "finishing"


def test_a_record_that_keeps_killing_workers_is_rejected_and_the_job_ends(database):
    with database.transaction() as connection:
        make_license(connection)
        make_job(connection, "job-1", 1, kind="export", chunks=[1])
    chunk = _take_one(database)
    record = RecordOutcome(1, "c0", None, Outcome.REJECTED, code="worker_crashed")
    with database.transaction() as connection:
        lapsed = _lapsed(connection)
        assert lost_work.reject_crashing(connection, lapsed, record)
        assert not lost_work.reject_crashing(connection, lapsed, record)
        assert _state(connection) == "finishing"
    with pytest.raises(Superseded), database.transaction() as connection:
        _checkpoint(connection, chunk, 0, 1)
    with database.transaction() as connection:
        outcomes = connection.execute(text("SELECT outcome, code FROM outcomes"))
        assert outcomes.all() == [("rejected", "worker_crashed")]


def test_only_a_single_record_is_ever_rejected_for_crashing(job):
    _take_one(job)
    record = RecordOutcome(1, "c0", None, Outcome.REJECTED, code="worker_crashed")
    with job.transaction() as connection:
        assert not lost_work.reject_crashing(connection, _lapsed(connection), record)


def test_what_is_brought_back_was_not_touched_by_a_worker_that_woke_up(job):
    chunk = _take_one(job)
    with job.transaction() as connection:
        lapsed = _lapsed(connection)
    with job.transaction() as connection:
        _checkpoint(connection, chunk, 0, 2)
    with job.transaction() as connection:
        assert not lost_work.bring_back(connection, lapsed, delay_s=0)
        assert not lost_work.split(connection, lapsed, crashes=2)


# -- Stopping -----------------------------------------------------------------


@pytest.fixture
def two_chunks(database: Database) -> Database:
    """A job of two chunks, the first of which a worker holds."""
    with database.transaction() as connection:
        make_license(connection)
        make_job(connection, "job-1", 4, kind="export", chunks=[2, 2])
    return database


def test_a_cancelled_job_stops_the_chunks_that_nobody_runs(two_chunks):
    held = _take_one(two_chunks)
    with two_chunks.transaction() as connection:
        assert job_control.stop_idle_chunks(connection, "job-1") == 0
        job_control.cancel(connection, "job-1")
    with two_chunks.transaction() as connection:
        assert job_control.stop_idle_chunks(connection, "job-1") == 1
        assert _state(connection) == "cancelling"
        assert _checkpoint(connection, held, 0, 1) == "cancelling"
        chunks.give_back(connection, held)
        assert job_control.stop_idle_chunks(connection, "job-1") == 1
        assert _state(connection) == "finishing"


def test_a_cancelled_job_does_not_wait_for_a_worker_that_is_gone(two_chunks):
    gone = _take_one(two_chunks)
    with two_chunks.transaction() as connection:
        job_control.cancel(connection, "job-1")
        _let_leases_lapse(connection)
        assert job_control.stop_idle_chunks(connection, "job-1") == 2
        assert _state(connection) == "finishing"
    with pytest.raises(Superseded), two_chunks.transaction() as connection:
        _checkpoint(connection, gone, 0, 2)


def test_a_chunk_that_ends_while_its_job_is_cancelled_ends_the_job(two_chunks):
    held = _take_one(two_chunks)
    with two_chunks.transaction() as connection:
        job_control.cancel(connection, "job-1")
        job_control.stop_idle_chunks(connection, "job-1")
        assert _checkpoint(connection, held, 0, 2) == "finishing"


def test_a_pausing_job_rests_once_its_last_running_chunk_was_given_back(two_chunks):
    held = _take_one(two_chunks)
    with two_chunks.transaction() as connection:
        connection.execute(text("UPDATE jobs SET state = 'pausing'"))
        assert not job_control.come_to_rest(connection, "job-1")
        chunks.give_back(connection, held)
        assert job_control.come_to_rest(connection, "job-1")
        assert not job_control.come_to_rest(connection, "job-1")
        assert _state(connection) == "paused"


@pytest.mark.parametrize(
    ("state", "result"),
    [
        ("queued", "done"),
        ("running", "done"),
        ("pausing", "done"),
        ("paused", "done"),
        ("cancelling", "already"),
        ("finishing", "wrong_state"),
    ],
)
def test_a_job_is_cancelled_from_where_it_can_be(two_chunks, state, result):
    with two_chunks.transaction() as connection:
        connection.execute(text("UPDATE jobs SET state = :state"), {"state": state})
        assert job_control.cancel(connection, "job-1") == result
        assert job_control.cancel(connection, "job-9") == "not_found"


# -- What waits ---------------------------------------------------------------


def test_only_so_many_chunks_of_a_job_are_in_flight(database):
    with database.transaction() as connection:
        make_license(connection)
        make_job(connection, "job-1", 0, kind="export", chunks=[1] * 5)
        ids = _chunk_ids(connection)
        waiting = dispatch_queue.waiting(connection, window=3)
        assert [chunk.chunk_id for chunk in waiting] == ids[:3]
        dispatch_queue.mark_chunks(connection, ids[:2], "chunks")
        assert [
            chunk.chunk_id for chunk in dispatch_queue.waiting(connection, window=3)
        ] == [ids[2]]
        assert dispatch_queue.in_flight(connection) == ({"chunks": 2}, 0)


def test_what_the_broker_did_not_take_waits_again_unless_it_was_taken(two_chunks):
    with two_chunks.transaction() as connection:
        ids = _chunk_ids(connection)
        dispatch_queue.mark_chunks(connection, ids, "chunks")
        _take(connection, ids[0])
        dispatch_queue.unmark(connection, chunk_ids=ids, entry_ids=[])
        states = connection.execute(text("SELECT state FROM chunks ORDER BY id"))
        assert list(states.scalars()) == ["running", "pending"]
