"""One verb for many jobs: those that match and it fits, and no other."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from storage.jobs import job_reports
from storage.jobs.job_reports import WantedJobs
from storage.operations import action_log
from storage.operations.action_log import Acting, Action, Actor, WantedActions
from storage.operations.bulk_jobs import BulkVerb
from storage.state_machine import JobState
from tests.support import job_runs
from worker.infrastructure.errors import BadInput, Code, Refused
from worker.jobs import job_control, submission
from worker.operations import bulk_jobs
from worker.wiring import Wired

ADA = Acting(Actor("ada", "here"), "the CRM is down")
_AT_ONCE = 5


@pytest.fixture
def deps(database_url, tmp_path) -> Iterator[Wired]:
    wired = job_runs.wire_to(database_url, tmp_path, bulk_jobs_max=_AT_ONCE)
    with closing(wired.database):
        job_runs.create_license(wired)
        job_runs.create_license(wired, "beta")
        yield wired


def _submitted(deps: Wired, license_id: str = "acme", name: str | None = None) -> str:
    quote = job_runs.quote(deps, ["c1"], license_id=license_id)
    return submission.submit(deps, quote.id, name=name)


def _states(deps: Wired) -> dict[str, str]:
    with deps.database.transaction() as connection:
        rows = connection.execute(text("SELECT id, state FROM jobs"))
        return {row.id: row.state for row in rows}


def _actions(deps: Wired, **wanted: object) -> list[Action]:
    with deps.database.transaction() as connection:
        return action_log.actions(connection, WantedActions(**wanted))  # type: ignore[arg-type]


def test_all_that_match_are_moved_and_noted_and_one_more_is_noted_for_the_whole(deps):
    ours = [_submitted(deps) for _ in range(3)]
    ended = _submitted(deps)
    job_runs.run(deps, ended)
    theirs = _submitted(deps, "beta")
    wanted = WantedJobs(license_id="acme")
    assert bulk_jobs.count(deps, BulkVerb.PAUSE, wanted).matched == 3
    assert _actions(deps) == []
    result = bulk_jobs.steer(deps, BulkVerb.PAUSE, wanted, ADA, expected=3)
    assert (result.matched, result.done, result.skipped) == (3, 3, 0)
    states = _states(deps)
    assert {states[job_id] for job_id in ours} == {"paused"}
    assert (states[theirs], states[ended]) == ("queued", "succeeded")
    whole, *each = _actions(deps, bulk_id=result.bulk_id)
    assert [one.target for one in each] == ours[::-1]
    assert (whole.target_kind, whole.target) == ("jobs", result.bulk_id)
    assert (whole.verb, whole.affected, whole.license_id) == ("pause", 3, "acme")
    assert {one.reason for one in (whole, *each)} == {"the CRM is down"}


def test_more_than_expected_or_than_may_be_is_refused_before_anything_is_changed(deps):
    for _ in range(_AT_ONCE + 1):
        _submitted(deps)
    wanted = WantedJobs(license_id="acme")
    before = _states(deps)
    for expected, code in ((_AT_ONCE, Code.WRONG_STATE), (None, Code.TOO_LARGE)):
        with pytest.raises(Refused) as refused:
            bulk_jobs.steer(deps, BulkVerb.CANCEL, wanted, ADA, expected=expected)
        assert refused.value.code is code
    with pytest.raises(BadInput):
        bulk_jobs.steer(deps, BulkVerb.CANCEL, WantedJobs(), ADA)
    assert _states(deps) == before
    assert _actions(deps) == []


def test_what_does_not_fit_any_more_is_skipped(deps, monkeypatch):
    first, second = _submitted(deps), _submitted(deps)
    cancel = job_control.cancel

    def and_the_other_ends(deps, job_id, by):
        job_runs.run(deps, second)
        return cancel(deps, job_id, by)

    monkeypatch.setitem(bulk_jobs._STEER, BulkVerb.CANCEL, and_the_other_ends)
    wanted = WantedJobs(license_id="acme")
    result = bulk_jobs.steer(deps, BulkVerb.CANCEL, wanted, ADA)
    assert (result.matched, result.done, result.skipped) == (2, 1, 1)
    assert {one.target for one in _actions(deps)} == {first, result.bulk_id}


def test_each_verb_is_asked_of_those_alone_that_it_fits(deps, tmp_path):
    wanted = WantedJobs(license_id="acme")
    cancelled, stuck, sealing = (_submitted(deps) for _ in range(3))
    job_control.cancel(deps, cancelled)
    job_runs.complete(deps)
    job_runs.run_chunks(deps, stuck)
    for part in (tmp_path / "files").glob("jobs/*/parts/*"):
        part.unlink()
    job_runs.complete_once(deps)
    job_runs.run_chunks(deps, sealing)
    # One that is about to be sealed as it should is nobody's to give up among many.
    for verb, job_id in ((BulkVerb.GIVE_UP, stuck), (BulkVerb.RETRY, cancelled)):
        asked = replace(wanted, text=job_id)
        assert bulk_jobs.steer(deps, verb, asked, ADA).done == 1
        assert bulk_jobs.steer(deps, verb, asked, ADA).matched == 0
    assert _states(deps)[sealing] == "finishing"
    assert bulk_jobs.steer(deps, BulkVerb.GIVE_UP, wanted, ADA).matched == 0
    assert bulk_jobs.steer(deps, BulkVerb.PAUSE, wanted, ADA).done == 1
    assert bulk_jobs.steer(deps, BulkVerb.RESUME, wanted, ADA).done == 1


def test_jobs_are_found_by_whatever_is_said_of_them(deps):
    # `job_runs` has all of them made by `user-1`.
    names = {
        _submitted(deps, name="Q3 leads: Müller & Söhne (final).csv"): "one",
        _submitted(deps, name="q3 Leads of Berlin"): "two",
        _submitted(deps): "none",
        _submitted(deps, "beta", name="leadership"): "beta",
    }
    paused = next(job_id for job_id, name in names.items() if name == "two")
    job_control.pause(deps, paused)

    def found(**wanted: object) -> set[str]:
        with deps.database.transaction() as connection:
            rows = job_reports.jobs(connection, WantedJobs(**wanted))  # type: ignore[arg-type]
        return {names[row.id] for row in rows}

    every, tomorrow = set(names.values()), datetime.now(UTC) + timedelta(days=1)
    assert found(text="lead") == {"one", "two", "beta"}
    assert found(text="leads q3") == {"one", "two"}
    assert found(text="Q3, LEADS") == {"one", "two"}
    assert found(text="müll") == {"one"}
    assert found(text="final.csv") == {"one"}
    assert found(text="eads") == set()
    assert found(text="&|!:*()'") == set()
    assert found(text=paused) == found(text=paused[:-1]) == {"two"}
    assert found(text="lead", license_id="beta") == {"beta"}
    assert found(user_id="user-1") == every
    assert found(user_id="user-2") == set()
    assert found(created_from=tomorrow) == found(created_to=tomorrow) - every == set()
    assert found(waiting_reason="paused") == found(state=JobState.PAUSED) == {"two"}
