"""Real workers and a dispatcher, while licenses and everything are paused."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.operations.action_log import Acting, Actor
from storage.pause_scope import PauseScope
from tests.support import job_runs
from tests.support.brokers import OWN, broker_of
from tests.support.business_time import DAY_S, shift_to
from tests.support.fleet import (
    LICENSE,
    Fleet,
    assert_exact,
    fleet_of,
    load_persons,
    submit,
    until,
)
from worker.jobs import job_control, submission
from worker.jobs.sweeper import sweep
from worker.operations.scope_pauses import pause_scope, resume_scope

_PERSONS = 1000
_BY = Acting(Actor("ada", "a test"), "they asked for it")


@pytest.fixture
def fleet(database_url: str, tmp_path: Path) -> Iterator[Fleet]:
    """A worker and a dispatcher; reservations last for two days without progress."""
    with (
        broker_of(OWN, tmp_path / "broker") as broker,
        fleet_of(
            tmp_path / "fleet",
            database_url,
            broker.url,
            RESERVATION_LIFETIME_S=str(2 * DAY_S),
        ) as fleet,
    ):
        load_persons(fleet.deps, _PERSONS)
        yield fleet


def _in_hand(fleet: Fleet, job_id: str) -> int:
    """How many chunks of a job the broker or a worker has."""
    return fleet.scalar(
        """SELECT count(*) FROM chunks
            WHERE job_id = :id AND state IN ('dispatched', 'running')""",
        id=job_id,
    )


def test_a_license_that_is_paused_in_mid_job_rests_and_others_go_on(fleet):
    job_runs.create_license(fleet.deps, "other", credits_granted=5000)
    mine = submit(fleet.deps, 0, _PERSONS)
    fleet.start("worker", "dispatcher")
    fleet.reached(mine, 100)
    pause_scope(fleet.deps, PauseScope.LICENSE, LICENSE, _BY)
    until(lambda: _in_hand(fleet, mine) == 0)
    rested = fleet.report(mine)
    assert rested.delivered < _PERSONS
    assert (rested.state, rested.waiting_reason) == ("running", "license_paused")
    # What is submitted meanwhile waits, and what another license has goes on.
    waits = submit(fleet.deps, 0, 10)
    contacts = [f"c{number}/p{number}" for number in range(200)]
    quoted = job_runs.quote(fleet.deps, contacts, license_id="other")
    assert fleet.ended(submission.submit(fleet.deps, quoted.id)).state == "succeeded"
    assert fleet.report(mine).delivered == rested.delivered
    waiting = fleet.report(waits)
    assert (waiting.state, waiting.waiting_reason) == ("queued", "license_paused")
    resume_scope(fleet.deps, PauseScope.LICENSE, LICENSE)
    assert_exact(fleet, mine, 0, _PERSONS)
    assert fleet.ended(waits).state == "succeeded"
    assert fleet.report(mine).waiting_reason is None


def test_everything_paused_beyond_the_deadline_cancels_nothing_and_then_it_holds(
    fleet,
):
    running = submit(fleet.deps, 0, _PERSONS)
    resting = submit(fleet.deps, 0, 10)
    job_control.pause(fleet.deps, resting)
    fleet.start("worker", "dispatcher")
    fleet.reached(running, 100)
    pause_scope(fleet.deps, PauseScope.EVERYTHING, "", _BY)
    until(lambda: _in_hand(fleet, running) == 0)
    shift_to(fleet.deps.database, 3 * DAY_S)
    sweep(fleet.deps)
    assert fleet.report(running).state == "running"
    assert fleet.report(running).waiting_reason == "all_paused"
    assert fleet.report(resting).state == "paused"
    resume_scope(fleet.deps, PauseScope.EVERYTHING, "")
    assert_exact(fleet, running, 0, _PERSONS)
    sweep(fleet.deps)
    assert fleet.report(resting).state == "paused"
    shift_to(fleet.deps.database, 6 * DAY_S)
    ended = fleet.ended(resting)
    assert (ended.state, ended.error_code) == ("cancelled", "reservation_expired")
