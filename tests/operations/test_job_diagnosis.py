"""Why a job does not run: the first of the causes that holds it, in a sentence."""

import pytest
from sqlalchemy import text

from storage.job_priority import Priority
from storage.jobs import heartbeats, job_reports, parked_jobs
from storage.jobs.job_control import NEEDS_RECONNECT, TOO_MANY_REJECTIONS
from storage.operations.action_log import Acting, Actor
from storage.pause_scope import PauseScope
from tests.support import job_runs
from worker.jobs import job_control, submission
from worker.operations import scope_pauses, turn_order
from worker.operations.job_diagnosis import why_it_waits

_CONTACTS = [f"c{n},p{n}" for n in range(6)]


@pytest.fixture
def deps(database_url, tmp_path):
    deps = job_runs.wire_to(database_url, tmp_path)
    job_runs.create_license(deps)
    yield deps
    deps.database.close()


@pytest.fixture
def job(deps):
    return submission.submit(deps, job_runs.quote(deps, _CONTACTS).id)


@pytest.fixture
def alive(deps):
    with deps.database.transaction() as connection:
        heartbeats.report(connection, "here:1", "worker")
        heartbeats.report(connection, "here:2", "dispatcher")


def _why(deps, job_id: str) -> str | None:
    with deps.database.transaction() as connection:
        report = job_reports.job(connection, job_id)
        assert report is not None
        return why_it_waits(deps, connection, report)


def _change(deps, statement: str, **parameters: object) -> None:
    with deps.database.transaction() as connection:
        connection.execute(text(statement), parameters)


def test_where_no_worker_lives_that_is_why(deps, job):
    assert "No worker is alive" in (_why(deps, job) or "")


def test_where_no_dispatcher_lives_that_is_why(deps, job):
    with deps.database.transaction() as connection:
        heartbeats.report(connection, "here:1", "worker")
    assert "No dispatcher is alive" in (_why(deps, job) or "")


@pytest.mark.usefixtures("alive")
def test_one_behind_others_of_its_license_is_told_behind_how_many_chunks(deps, job):
    later = submission.submit(deps, job_runs.quote(deps, ["d1,p", "d2,p", "d3,p"]).id)
    assert _why(deps, job) == "It waits for a worker to be free."
    assert _why(deps, later) == "It waits its turn behind 3 chunks of its license."
    turn_order.set_priority(deps, later, Priority.HIGH)
    assert _why(deps, later) == "It waits for a worker to be free."
    assert _why(deps, job) == "It waits its turn behind 2 chunks of its license."


@pytest.mark.usefixtures("alive")
@pytest.mark.parametrize(
    ("scope", "subject", "said"),
    [
        (PauseScope.EVERYTHING, "", "An operator has paused everything;"),
        (PauseScope.LICENSE, "acme", "An operator has paused its license;"),
    ],
)
def test_one_that_is_held_is_told_by_what(deps, job, scope, subject, said):
    by = Acting(Actor("ada", "a test"), "they asked for it")
    scope_pauses.pause_scope(deps, scope, subject, by)
    assert (_why(deps, job) or "").startswith(said)


@pytest.mark.usefixtures("alive")
def test_one_that_failed_is_told_when_it_is_tried_again(deps, job):
    _change(
        deps,
        """UPDATE chunks SET run_at = clock_timestamp() + interval '1 hour',
                  failures = 1, last_error = 'Timeout: too slow'""",
    )
    why = _why(deps, job) or ""
    assert "tried again at" in why
    assert "Timeout: too slow" in why


@pytest.mark.usefixtures("alive")
def test_one_that_waits_for_a_vendor_is_told_until_when(deps, job):
    _change(
        deps,
        """UPDATE jobs SET waiting_reason = 'rate_limited',
                  waiting_until = '2026-05-01 14:02:00+00'""",
    )
    assert _why(deps, job) == "It waits: rate limited until 14:02:00 UTC."


@pytest.mark.usefixtures("alive")
@pytest.mark.parametrize(
    ("reason", "said"),
    [(TOO_MANY_REJECTIONS, "rejects too much"), (NEEDS_RECONNECT, "secrets no more")],
)
def test_a_parked_one_is_told_what_lets_it_go_on(deps, job, reason, said):
    with deps.database.transaction() as connection:
        parked_jobs.park(connection, job, reason)
    assert said in (_why(deps, job) or "")


@pytest.mark.usefixtures("alive")
def test_a_paused_one_is_told_so(deps, job):
    job_control.pause(deps, job)
    assert "Somebody has paused it" in (_why(deps, job) or "")


@pytest.mark.usefixtures("alive")
def test_of_one_that_runs_or_has_ended_there_is_nothing_to_tell(deps, job):
    _change(deps, "UPDATE chunks SET state = 'dispatched'")
    assert _why(deps, job) is None
    _change(deps, "UPDATE chunks SET state = 'pending'")
    job_runs.run(deps, job)
    assert _why(deps, job) is None


@pytest.mark.usefixtures("alive")
def test_one_whose_file_cannot_be_sealed_is_told_what_failed(deps, job):
    job_control.cancel(deps, job)
    _change(
        deps,
        """UPDATE outbox SET last_error = 'no room', run_at = now() + interval '1 min'
            WHERE key = :job""",
        job=job,
    )
    assert "could not be sealed (no room)" in (_why(deps, job) or "")
