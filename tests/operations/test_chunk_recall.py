"""A chunk is taken from its worker: nothing is lost of it, and nothing done twice."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Event

import pytest
from sqlalchemy import text

from storage.operations import action_log
from storage.operations.action_log import Acting, Actor, WantedActions
from storage.operations.chunk_reports import ChunkReport
from storage.state_machine import ChunkState
from tests.support import job_runs
from worker.exports import export_delivery
from worker.infrastructure.clock import wait
from worker.infrastructure.errors import Refused
from worker.infrastructure.task_results import TaskResult
from worker.jobs import job_control, submission
from worker.jobs.chunk_runner import run_chunk
from worker.operations import chunk_recall
from worker.wiring import Wired

ADA = Acting(Actor("ada", "command line on a test"), "it hangs")
_COMPANIES = ["c1", "c2", "c3", "c4"]


@pytest.fixture
def deps(database_url, tmp_path) -> Iterator[Wired]:
    wired = job_runs.wire_to(database_url, tmp_path, chunk_records=4)
    with closing(wired.database):
        job_runs.create_license(wired)
        yield wired


@pytest.fixture
def job_id(deps) -> str:
    """A job of one chunk of four batches, at a credit each."""
    return submission.submit(deps, job_runs.quote(deps, _COMPANIES).id)


def _chunk(deps: Wired) -> ChunkReport:
    with deps.database.transaction() as connection:
        query = text("SELECT id FROM chunks")
        chunk_id = connection.execute(query).scalar_one()
    return chunk_recall.report(deps, chunk_id)


class _Hung:
    """A worker that hangs in the middle of a batch, until it is let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
        self.hangs, self.goes_on = Event(), Event()
        deliver = export_delivery.ExportDelivery.deliver

        def hang(own, start, contents):
            if start == at and not self.hangs.is_set():
                self.hangs.set()
                assert wait(self.goes_on, 30)
            return deliver(own, start, contents)

        monkeypatch.setattr(export_delivery.ExportDelivery, "deliver", hang)


def test_another_goes_on_from_the_cursor_and_the_late_one_changes_nothing(
    deps, job_id, monkeypatch
):
    hung = _Hung(monkeypatch, at=2)
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(run_chunk, deps, _chunk(deps).id)
        assert wait(hung.hangs, 30)
        held = _chunk(deps)
        assert (held.state, held.cursor) == (ChunkState.RUNNING, 2)
        assert chunk_recall.give_back(deps, held.id, ADA)
        waits = _chunk(deps)
        assert (waits.state, waits.cursor, waits.owner) == (ChunkState.PENDING, 2, None)
        assert waits.attempt > held.attempt
        ended = job_runs.run(deps, job_id)
        hung.goes_on.set()
        assert isinstance(late.result(), TaskResult)
    assert (ended.state, ended.delivered, ended.settled) == ("succeeded", 4, 4)
    assert job_runs.report(deps, job_id) == ended
    assert (_chunk(deps).crashes, _chunk(deps).failures) == (0, 0)


def test_what_is_being_settled_at_that_moment_stays_settled(deps, job_id):
    """The checkpoint has the chunk's row: the operator's UPDATE waits for it."""
    chunk_id = _chunk(deps).id
    with deps.database.transaction() as connection:
        connection.execute(
            text("""
                UPDATE chunks SET state = 'running', attempt = 1, owner = 'a worker',
                       lease_until = clock_timestamp() + interval '1 hour'""")
        )
    with ThreadPoolExecutor(1) as pool:
        with deps.database.transaction() as connection:
            connection.execute(
                text("UPDATE chunks SET cursor = 2, delivered = 2 WHERE attempt = 1")
            )
            recalled = pool.submit(chunk_recall.give_back, deps, chunk_id)
            blocked = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
            while not connection.execute(blocked).scalar_one():
                wait(Event(), 0.01)
        assert recalled.result(timeout=30)
    assert (_chunk(deps).state, _chunk(deps).cursor) == (ChunkState.PENDING, 2)
    # So that the audit finds its records: the two were never really delivered.
    with deps.database.transaction() as connection:
        connection.execute(text("UPDATE chunks SET cursor = 0, delivered = 0"))


def test_of_what_may_have_been_sent_nothing_begins_before_the_lease_is_over(
    deps, job_id
):
    with deps.database.transaction() as connection:
        connection.execute(
            text("""
                UPDATE chunks SET state = 'running', attempt = 1, owner = 'a worker',
                       doubted_at = clock_timestamp(), doubt_stop = 2,
                       lease_until = clock_timestamp() + interval '1 hour'""")
        )
    held = _chunk(deps)
    chunk_recall.give_back(deps, held.id, ADA)
    waits = _chunk(deps)
    assert waits.run_at == held.lease_until
    assert waits.doubted_at == held.doubted_at
    assert "not to be taken" in str(run_chunk(deps, held.id))


def test_it_is_noted_once_and_not_where_nothing_ran(deps, job_id):
    chunk_id = _chunk(deps).id
    assert not chunk_recall.give_back(deps, chunk_id, ADA)
    job_runs.run(deps, job_id)
    for name in (chunk_id, chunk_id + 1):
        with pytest.raises(Refused):
            chunk_recall.give_back(deps, name, ADA)
    with deps.database.transaction() as connection:
        assert action_log.actions(connection, WantedActions()) == []


def test_of_a_job_that_is_to_stop_nothing_runs_any_more(deps, job_id, monkeypatch):
    hung = _Hung(monkeypatch, at=1)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(run_chunk, deps, _chunk(deps).id)
        assert wait(hung.hangs, 30)
        job_control.cancel(deps, job_id)
        assert job_runs.report(deps, job_id).state == "cancelling"
        chunk_recall.give_back(deps, _chunk(deps).id, ADA)
        assert _chunk(deps).state == ChunkState.CANCELLED
        hung.goes_on.set()
    job_runs.complete(deps)
    ended = job_runs.report(deps, job_id)
    assert (ended.state, ended.delivered, ended.settled) == ("cancelled", 1, 1)
    with deps.database.transaction() as connection:
        (noted,) = action_log.actions(connection, WantedActions())
    assert (noted.verb, noted.target_kind, noted.reason) == (
        *("give_back", "chunk"),
        "it hangs",
    )
    assert (noted.target, noted.license_id) == (str(_chunk(deps).id), "acme")
