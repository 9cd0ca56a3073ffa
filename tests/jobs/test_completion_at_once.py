"""Whoever ends the last chunk of a small job completes it: once, whatever happens."""

from contextlib import closing

import pytest
from sqlalchemy import text

from storage.jobs import jobs
from tests.support import job_runs
from worker.infrastructure.task_results import Done, Never
from worker.jobs import chunk_runner, outbox_runner, submission
from worker.jobs.sweeper import sweep

_CONTACTS = ("c1/p1", "c1/p2", "c2/p3")


@pytest.fixture
def deps(database_url, tmp_path):
    wired = job_runs.wire_to(
        database_url, tmp_path, complete_at_once_records=len(_CONTACTS), lease_s=60
    )
    with closing(wired.database):
        job_runs.create_license(wired)
        job_runs.know(wired, "p1", "p2", "p3")
        yield wired


def _submit(deps, contacts=_CONTACTS) -> str:
    return submission.submit(deps, job_runs.quote(deps, contacts).id)


def _entries(deps) -> list[tuple[str, int]]:
    with deps.database.transaction() as connection:
        rows = connection.execute(
            text("SELECT state, attempt FROM outbox WHERE topic = :topic"),
            {"topic": jobs.COMPLETE},
        )
        return [(state, attempt) for state, attempt in rows]


def test_a_small_job_has_ended_where_its_last_chunk_has(deps):
    job_id = _submit(deps)
    job_runs.run_chunks(deps, job_id)
    report = job_runs.report(deps, job_id)
    assert (report.state, report.delivered) == ("succeeded", 3)
    assert report.file_name is not None
    assert _entries(deps) == [("done", 1)]


def test_a_larger_job_is_completed_through_the_outbox(deps):
    job_id = _submit(deps, (*_CONTACTS, "c3"))
    job_runs.run_chunks(deps, job_id)
    assert job_runs.report(deps, job_id).state == "finishing"
    assert _entries(deps) == [("pending", 0)]
    job_runs.complete(deps)
    assert job_runs.report(deps, job_id).state == "succeeded"


def test_a_completion_that_fails_is_tried_again_through_the_outbox(deps):
    job_id = _submit(deps)
    with job_runs.little_room(0):
        job_runs.run_chunks(deps, job_id)
    assert job_runs.report(deps, job_id).state != "succeeded"
    for _ in range(3):
        job_runs.run_chunks(deps, job_id)
        job_runs.complete(deps)
    assert job_runs.report(deps, job_id).state == "succeeded"


class _Killed(BaseException):
    """As where a worker is killed: nobody handles it."""


def test_a_worker_that_is_killed_before_it_completes_leaves_that_to_another(
    deps, monkeypatch
):
    job_id = _submit(deps)

    def die(*_: object) -> None:
        raise _Killed

    with monkeypatch.context() as killed:
        killed.setattr(chunk_runner, "run_taken", die)
        with pytest.raises(_Killed):
            job_runs.run_chunks(deps, job_id)
    assert _entries(deps) == [("running", 1)]
    assert not job_runs.complete_once(deps)
    with deps.database.transaction() as connection:
        connection.execute(text("UPDATE outbox SET lease_until = clock_timestamp()"))
    sweep(deps)
    job_runs.complete(deps)
    assert job_runs.report(deps, job_id).state == "succeeded"
    assert _entries(deps) == [("done", 2)]


def test_a_worker_that_comes_back_after_its_lease_completes_nothing_twice(
    deps, monkeypatch
):
    job_id = _submit(deps)
    late = []

    def stand_still(deps, entry) -> Done:
        late.append((deps, entry))
        return Done()

    with monkeypatch.context() as slow:
        slow.setattr(chunk_runner, "run_taken", stand_still)
        job_runs.run_chunks(deps, job_id)
    with deps.database.transaction() as connection:
        connection.execute(text("UPDATE outbox SET lease_until = clock_timestamp()"))
    sweep(deps)
    job_runs.complete(deps)
    before = job_runs.balance(deps)
    ((late_deps, entry),) = late
    assert isinstance(outbox_runner.run_taken(late_deps, entry), Never)
    assert job_runs.balance(deps) == before
