"""Why a job does not run: the first of the causes that holds it, in a sentence."""

from dataclasses import replace

import pytest
from sqlalchemy import text

from storage.job_priority import Priority
from storage.jobs import heartbeats, job_reports, parked_jobs
from storage.jobs.job_control import NEEDS_RECONNECT, TOO_MANY_REJECTIONS
from storage.operations import processes
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
        (PauseScope.EVERYTHING, "", "An operator has paused everything (ada, "),
        (PauseScope.LICENSE, "acme", "An operator has paused its license (ada, "),
    ],
)
def test_one_that_is_held_is_told_by_what(deps, job, scope, subject, said):
    by = Acting(Actor("ada", "a test"), "they asked for it")
    scope_pauses.pause_scope(deps, scope, subject, by)
    why = _why(deps, job) or ""
    assert why.startswith(said)
    assert "“they asked for it”" in why


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
    said = "It waits: rate limited by a provider until 14:02:00 UTC."
    assert _why(deps, job) == said


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
    assert "Somebody has paused it; it goes on" in (_why(deps, job) or "")


@pytest.mark.usefixtures("alive")
def test_a_paused_one_is_told_by_whom_when_and_why(deps, job):
    job_control.pause(deps, job, Acting(Actor("ada", "a test"), "they called"))
    why = _why(deps, job) or ""
    assert why.startswith("Somebody has paused it (ada, 20")
    assert " UTC: “they called”); it goes on" in why


@pytest.mark.usefixtures("alive")
def test_one_whose_chunks_lie_in_the_broker_is_told_what_workers_are_at(deps, job):
    _change(
        deps,
        """UPDATE chunks SET state = 'dispatched'
            WHERE id = (SELECT min(id) FROM chunks)""",
    )
    assert _why(deps, job) == (
        "1 chunk of it lies in the broker, and no worker has anything else in hand: "
        "one takes it at once."
    )
    other = submission.submit(deps, job_runs.quote(deps, ["d1,p"]).id)
    _change(
        deps,
        """UPDATE chunks SET state = 'running', owner = 'here', attempt = 1,
                  lease_until = clock_timestamp() + interval '1 hour'
            WHERE job_id = :job""",
        job=other,
    )
    assert _why(deps, job) == (
        "1 chunk of it lies in the broker until a worker is free: 1 chunk runs just "
        "now, 1 of its license."
    )


def test_where_all_workers_drain_that_is_why(deps, job):
    with deps.database.transaction() as connection:
        heartbeats.report(connection, "here:1", "worker")
        heartbeats.report(connection, "here:2", "dispatcher")
        processes.ask_to_drain(connection, "here:1")
    assert (_why(deps, job) or "").startswith("All workers drain")
    with deps.database.transaction() as connection:
        heartbeats.report(connection, "here:3", "worker")
    assert _why(deps, job) == "It waits for a worker to be free."


@pytest.mark.usefixtures("alive")
def test_one_that_is_parked_is_told_how_much_was_rejected(deps, job):
    with deps.database.transaction() as connection:
        parked_jobs.park(connection, job, TOO_MANY_REJECTIONS)
        report = job_reports.job(connection, job)
        assert report is not None
        tried = replace(report, rejected=66, delivered=1_034)
        assert "(6 % of 1,100 tried)" in (why_it_waits(deps, connection, tried) or "")


@pytest.mark.usefixtures("alive")
def test_of_one_that_runs_or_has_ended_there_is_nothing_to_tell(deps, job):
    _change(
        deps,
        """UPDATE chunks SET state = 'running', owner = 'here', attempt = 1,
                  lease_until = clock_timestamp() + interval '1 hour'""",
    )
    assert _why(deps, job) is None
    _change(
        deps,
        "UPDATE chunks SET state = 'pending', owner = NULL, lease_until = NULL",
    )
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
