"""Timelines: what happened to a job, in order, with who and why; and at what price."""

from collections.abc import Iterator
from contextlib import closing

import pytest
from sqlalchemy import text

from storage.jobs import lost_work, parked_jobs
from storage.operations import job_timeline
from storage.operations.action_log import Acting, Actor
from storage.operations.job_timeline import Entry
from storage.pause_scope import PauseScope
from tests.support import job_runs
from worker.jobs import job_control, job_retry, submission
from worker.operations import scope_pauses
from worker.wiring import Wired

ADA = Acting(Actor("ada", "command line on a test"), "the customer called")
BOB = Acting(Actor("bob", "10.0.0.1", None))


@pytest.fixture
def deps(database_url, tmp_path) -> Iterator[Wired]:
    wired = job_runs.wire_to(database_url, tmp_path)
    with closing(wired.database):
        job_runs.create_license(wired)
        yield wired


def _submitted(deps: Wired) -> str:
    return submission.submit(deps, job_runs.quote(deps, ["c1", "c2", "c3"]).id)


def _timeline(deps: Wired, job_id: str) -> list[Entry]:
    with deps.database.transaction() as connection:
        return job_timeline.of_job(connection, job_id)


def _told(deps: Wired, job_id: str) -> list[tuple[str, str | None, str | None]]:
    return [
        (entry.what.value, entry.to_state, entry.actor)
        for entry in _timeline(deps, job_id)
    ]


def test_a_job_that_goes_its_normal_way_leaves_no_row_of_its_own(deps):
    job_id = _submitted(deps)
    job_runs.run(deps, job_id)
    assert _told(deps, job_id) == [
        ("created", "queued", None),
        ("started", "running", None),
        ("finished", "succeeded", None),
    ]
    assert _timeline(deps, job_id)[0].user == "user-1"
    with deps.database.transaction() as connection:
        query = text("SELECT count(*) FROM job_changes")
        assert connection.execute(query).scalar_one() == 0


def test_who_paused_resumed_and_cancelled_is_told_in_order_with_why(deps):
    job_id = _submitted(deps)
    job_control.pause(deps, job_id, ADA)
    job_control.resume(deps, job_id, BOB)
    job_runs.run_chunks(deps, job_id)
    entries = _timeline(deps, job_id)
    assert [(entry.to_state, entry.actor) for entry in entries[1:3]] == [
        ("paused", "ada"),
        ("queued", "bob"),
    ]
    assert (entries[1].reason, entries[1].verb) == ("the customer called", "pause")
    assert (entries[1].waiting_reason, entries[2].waiting_reason) == ("paused", None)
    assert [entry.at for entry in entries] == sorted(entry.at for entry in entries)


def test_what_a_job_does_by_itself_is_nobodys(deps):
    job_id = _submitted(deps)
    with deps.database.transaction() as connection:
        parked_jobs.park(connection, job_id, "too_many_rejections")
    job_control.cancel(deps, job_id, ADA)
    job_runs.complete(deps)
    assert _told(deps, job_id) == [
        ("created", "queued", None),
        ("changed", "paused", None),
        ("changed", "cancelling", "ada"),
        ("changed", "finishing", None),
        ("finished", "cancelled", None),
    ]
    assert _timeline(deps, job_id)[1].waiting_reason == "too_many_rejections"


def test_a_sweep_that_cancels_names_nobody_and_says_why_at_the_end(deps):
    job_id = _submitted(deps)
    with deps.database.transaction() as connection:
        assert lost_work.cancel_overdue(connection, job_id)
    job_control.cancel(deps, job_id, ADA)
    job_runs.complete(deps)
    entries = _timeline(deps, job_id)
    assert {entry.actor for entry in entries} == {None}
    assert entries[-1].error_code == "reservation_expired"


def test_who_gave_a_job_up_is_told_of_its_end(deps):
    job_id = _submitted(deps)
    job_runs.run_chunks(deps, job_id)
    job_control.give_up(deps, job_id, ADA)
    last = _timeline(deps, job_id)[-1]
    assert (last.what, last.to_state, last.actor) == ("finished", "failed", "ada")
    assert (last.error_code, last.reason) == ("given_up", "the customer called")


def test_a_retry_is_told_of_both_jobs(deps):
    first = _submitted(deps)
    job_control.cancel(deps, first)
    job_runs.complete(deps)
    second = job_retry.retry(deps, first, by=ADA)
    told, made = _timeline(deps, first)[-1], _timeline(deps, second)[0]
    assert (told.what, told.job_id, told.actor) == ("retried", second, "ada")
    assert (made.what, made.job_id) == ("created", first)


def test_a_job_that_is_not_there_has_no_timeline(deps):
    assert _timeline(deps, "job_of_nobody") == []


def test_what_held_more_than_the_job_is_told_with_who_and_why(deps):
    job_id = _submitted(deps)
    for scope, subject in (
        (PauseScope.EVERYTHING, ""),
        (PauseScope.PROVIDER, "hunter"),
        (PauseScope.LICENSE, "acme"),
    ):
        scope_pauses.pause_scope(deps, scope, subject, ADA)
        scope_pauses.resume_scope(deps, scope, subject, BOB)
    job_runs.run(deps, job_id)
    scope_pauses.pause_scope(deps, PauseScope.EVERYTHING, "", ADA)
    told = [
        (one.what.value, one.of, one.actor, one.origin, one.reason)
        for one in _timeline(deps, job_id)
        if one.of
    ]
    ada, bob = ("ada", None, "the customer called"), ("bob", None, None)
    assert told == [
        ("held", "everything", *ada),
        ("let_go", "everything", *bob),
        ("held", "provider hunter", *ada),
        ("let_go", "provider hunter", *bob),
        ("held", "license acme", "ada", "command line on a test", ada[2]),
        ("let_go", "license acme", "bob", "10.0.0.1", None),
    ]
