"""The overview: what is open and how it gets on, found by one statement a second."""

import io
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console
from sqlalchemy import text

from storage.jobs import heartbeats
from storage.operations import chore_runs
from storage.operations.action_log import Acting, Actor
from storage.operations.overview import OpenJob
from storage.pause_scope import PauseScope
from tests.support import job_runs
from worker.cli.operations.overview import Sums, screen
from worker.infrastructure.clock import Stopwatch
from worker.infrastructure.dependencies import connect
from worker.infrastructure.settings import MISSED_REPORTS
from worker.jobs import job_control, submission
from worker.jobs.chunk_runner import run_chunk
from worker.jobs.sweeper import SWEEP, sweep
from worker.operations import scope_pauses
from worker.operations.overview import OverviewLook
from worker.operations.pace import PaceMemory

_CONTACTS = [f"c{n},p{n}" for n in range(6)]
_NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.fixture
def deps(database_url, tmp_path):
    deps = job_runs.wire_to(database_url, tmp_path, small_job_records=4)
    job_runs.create_license(deps)
    yield deps
    deps.database.close()


@pytest.fixture
def look(deps):
    looks = []

    def anew():
        looks.append(OverviewLook(deps.settings, connect(deps.settings, pool=1)))
        return looks[-1].report().found

    yield anew
    for each in looks:
        each.close()


def _submitted(deps, contacts=_CONTACTS) -> str:
    return submission.submit(deps, job_runs.quote(deps, contacts).id)


def _chunks(deps, job_id: str) -> list[int]:
    with deps.database.reading() as connection:
        rows = connection.execute(
            text("SELECT id FROM chunks WHERE job_id = :job_id ORDER BY first"),
            {"job_id": job_id},
        )
        return list(rows.scalars())


def test_an_open_job_is_shown_with_how_far_it_is(deps, look):
    job_id = _submitted(deps)
    run_chunk(deps, _chunks(deps, job_id)[0])
    (job,) = look().jobs
    assert (job.id, job.state, job.records, job.done) == (job_id, "running", 6, 2)
    assert job.settled == 2
    assert look().jobs_by_state == {"running": 1}


def test_a_job_that_has_ended_is_in_no_queue_and_no_list(deps, look):
    job_id = _submitted(deps)
    job_runs.run(deps, job_id)
    found = look()
    assert found.jobs == ()
    assert [queue.waiting + queue.running for queue in found.queues] == [0, 0]
    assert found.credits_reserved == 0


def test_small_jobs_and_all_others_wait_in_queues_of_their_own(deps, look):
    _submitted(deps)
    _submitted(deps, ["z,z"])
    small, other = look().queues
    assert (small.name, small.jobs, small.waiting, small.records) == ("small", 1, 1, 1)
    assert (other.name, other.jobs, other.waiting, other.records) == ("chunks", 1, 3, 6)
    assert other.oldest_s > 0


def test_what_a_paused_job_has_left_waits_in_no_queue(deps, look):
    job_control.pause(deps, _submitted(deps))
    assert [queue.waiting for queue in look().queues] == [0, 0]
    assert look().jobs_by_state == {"paused": 1}


def test_a_process_that_is_not_heard_of_is_silent(deps, look):
    silent_s = deps.settings.report_interval_s * MISSED_REPORTS
    with deps.database.transaction() as connection:
        heartbeats.report(connection, "here:1", "worker")
        heartbeats.report(connection, "there:2", "worker")
        connection.execute(
            text("""
                UPDATE processes SET seen_at = seen_at - make_interval(secs => :s)
                 WHERE id = 'there:2'"""),
            {"s": silent_s + 1},
        )
    states = {process.id: str(process.state) for process in look().processes}
    assert states == {"here:1": "alive", "there:2": "silent"}


def test_the_last_sweep_is_known(deps, look):
    assert look().chores == ()
    sweep(deps)
    with deps.database.transaction() as connection:
        chore_runs.note(connection, SWEEP)
    (chore,) = look().chores
    assert chore.name == SWEEP
    assert chore.age_s < 60


def test_it_is_looked_at_no_more_than_once_a_second(deps):
    look = OverviewLook(deps.settings, connect(deps.settings, pool=1))
    elapsed = Stopwatch()
    reports = [look.report() for _ in range(200)]
    assert len({id(report) for report in reports}) <= 1 + elapsed.elapsed_s
    look.close()


def _job(done: int, started_at: datetime | None = _NOON) -> OpenJob:
    return OpenJob(
        id="j",
        license_id="acme",
        kind="export",
        name=None,
        state="running",
        waiting_reason=None,
        records=1_000,
        done=done,
        rejected=0,
        reserved=0,
        settled=0,
        created_at=_NOON,
        started_at=started_at,
    )


def _at(seconds: float) -> datetime:
    return _NOON + timedelta(seconds=seconds)


def test_a_job_goes_at_the_pace_that_was_seen_of_late():
    memory = PaceMemory()
    memory.note((_job(100),), _at(1_000))
    memory.note((_job(400),), _at(1_030))
    assert memory.of(_job(400), _at(1_030)) == (10.0, 60.0)


def test_one_that_was_not_seen_before_goes_at_the_pace_since_its_start():
    memory = PaceMemory()
    memory.note((_job(200),), _at(100))
    assert memory.of(_job(200), _at(100)) == (2.0, 400.0)


def test_of_one_that_has_not_begun_and_of_one_that_stands_no_end_is_told():
    memory = PaceMemory()
    assert memory.of(_job(0, started_at=None), _at(5)) == (None, None)
    memory.note((_job(300),), _at(1_000))
    memory.note((_job(300),), _at(1_060))
    assert memory.of(_job(300), _at(1_060)) == (0.0, None)


_ADA = Acting(Actor("ada", "a test"), "[/red] they asked")


def test_what_operators_hold_is_seen_at_a_glance(deps, look):
    for scope, subject in (
        (PauseScope.LICENSE, "acme"),
        (PauseScope.PROVIDER, "hunter"),
        (PauseScope.EVERYTHING, ""),
    ):
        scope_pauses.pause_scope(deps, scope, subject, _ADA)
    found = look()
    assert [(str(one.scope), one.subject, one.paused_by) for one in found.pauses] == [
        ("everything", "", "ada"),
        ("provider", "hunter", "ada"),
        ("license", "acme", "ada"),
    ]
    assert found.pauses_total == 3


def test_how_many_more_jobs_are_open_than_are_shown_is_known(deps, look):
    for n in range(22):
        _submitted(deps, [f"z{n},z"])
    found = look()
    assert (len(found.jobs), found.more_jobs) == (20, 2)


def test_a_terminal_shows_what_is_held_providers_upkeep_and_the_past(
    database_url, tmp_path
):
    deps = job_runs.wire_to(
        database_url, tmp_path, providers="directory,hunter", hunter_key="k" * 20
    )
    job_runs.create_license(deps)
    job_runs.run(deps, _submitted(deps))
    scope_pauses.pause_scope(deps, PauseScope.PROVIDER, "hunter", _ADA)
    with deps.database.transaction() as connection:
        chore_runs.note(connection, SWEEP)
    overview = OverviewLook(deps.settings, connect(deps.settings, pool=1))
    out = io.StringIO()
    past = {"hour": Sums(6, 1, 12)}
    Console(file=out, width=160).print(screen(overview.report(), past))
    overview.close()
    deps.database.close()
    for words in (
        "PAUSED provider hunter by ada since",
        "[/red] they asked",
        "paused by ada",
        "last sweep",
        "never audited",
        "last hour: 6 records, 1 failures, 12 credits settled",
    ):
        assert words in out.getvalue(), words
