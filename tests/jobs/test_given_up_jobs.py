"""A job whose file cannot be sealed may be given up: nothing of it stays charged."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Barrier

import pytest
from sqlalchemy import Connection, text

from storage.errors import Superseded
from storage.jobs import job_reports, outbox
from tests.support import job_runs
from worker.infrastructure.errors import Code, Refused
from worker.jobs import completion, job_control, job_retry, outbox_runner, submission
from worker.wiring import Wired

CONTACTS = ["c1/p1", "c1/p2", "c2/p3"]
ROUNDS = 10


@pytest.fixture
def deps(database_url, tmp_path) -> Iterator[Wired]:
    wired = job_runs.wire_to(database_url, tmp_path)
    with closing(wired.database):
        job_runs.create_license(wired)
        job_runs.know(wired, "p1", "p2", "p3")
        yield wired


def _finishing(deps: Wired) -> str:
    job_id = submission.submit(deps, job_runs.quote(deps, CONTACTS).id)
    job_runs.run_chunks(deps, job_id)
    return job_id


def _entry_of(connection: Connection, job_id: str) -> int:
    """The outbox entry of a job's completion."""
    entry_id: int = connection.execute(
        text("SELECT id FROM outbox WHERE topic = 'job.complete' AND key = :key"),
        {"key": job_id},
    ).scalar_one()
    return entry_id


def _try_completing(deps: Wired, job_id: str) -> None:
    with deps.database.transaction() as connection:
        entry_id = _entry_of(connection, job_id)
    outbox_runner.run_entry(deps, entry_id)


def _lose_parts(tmp_path) -> None:
    for part in (tmp_path / "files").glob("jobs/*/parts/*"):
        part.unlink()


def _report(deps: Wired, job_id: str) -> job_reports.JobReport:
    with deps.database.transaction() as connection:
        report = job_reports.job(connection, job_id)
    assert report is not None
    return report


def test_giving_up_refunds_every_charge_and_leaves_no_file(deps, tmp_path):
    before = job_runs.balance(deps)
    job_id = _finishing(deps)
    _lose_parts(tmp_path)
    _try_completing(deps, job_id)
    stuck = _report(deps, job_id)
    assert (stuck.state, stuck.waiting_reason) == ("finishing", "storage")
    job_control.give_up(deps, job_id)
    ended = _report(deps, job_id)
    assert (ended.state, ended.error_code) == ("failed", "given_up")
    assert ended.settled == ended.refunded > 0
    assert ended.file_artifact is None
    assert job_runs.balance(deps) == before


def test_what_was_given_up_is_not_free_afterwards(deps):
    first = job_runs.quote(deps, CONTACTS)
    job_control.give_up(deps, _finishing(deps))
    assert job_runs.quote(deps, CONTACTS).quote.max_credits == first.quote.max_credits


def test_all_records_of_what_was_given_up_may_be_retried(deps):
    job_id = _finishing(deps)
    job_control.give_up(deps, job_id)
    again = job_runs.run(deps, job_retry.retry(deps, job_id))
    assert (again.delivered, again.settled) == (3, _report(deps, job_id).settled)


def test_giving_up_again_changes_nothing(deps):
    job_id = _finishing(deps)
    job_control.give_up(deps, job_id)
    before = (_report(deps, job_id), job_runs.balance(deps))
    job_control.give_up(deps, job_id)
    assert (_report(deps, job_id), job_runs.balance(deps)) == before


def test_only_a_finishing_job_is_given_up(deps):
    running_job = submission.submit(deps, job_runs.quote(deps, CONTACTS).id)
    for _ in range(2):
        with pytest.raises(Refused) as refused:
            job_control.give_up(deps, running_job)
        assert refused.value.code is Code.WRONG_STATE
        job_runs.run_chunks(deps, running_job)
        job_runs.complete(deps)
    with pytest.raises(Refused) as refused:
        job_control.give_up(deps, "job-nobody-knows")
    assert refused.value.code is Code.NOT_FOUND


def test_giving_up_and_completing_at_once_end_the_job_once(deps):
    for _ in range(ROUNDS):
        job_id = _finishing(deps)
        with deps.database.transaction() as connection:
            entry_id = _entry_of(connection, job_id)
            entry = outbox.take(connection, entry_id, owner="worker", lease_s=60)
        assert entry is not None
        together = Barrier(2)

        def complete(entry=entry, together=together):
            together.wait()
            try:
                completion.complete(deps, entry)
            except Superseded:
                return "superseded"
            return "completed"

        def give_up(job_id=job_id, together=together):
            together.wait()
            try:
                job_control.give_up(deps, job_id)
            except Refused:
                return "refused"
            return "given up"

        with ThreadPoolExecutor(2) as pool:
            done = [pool.submit(complete), pool.submit(give_up)]
            came = [future.result() for future in done]
        assert came in [["completed", "refused"], ["superseded", "given up"]]
        report = _report(deps, job_id)
        assert (report.refunded == report.settled) == (came[1] == "given up")
