"""The action log: what somebody has changed stands in it, and nothing else does."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Barrier

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from storage.operations import action_log
from storage.operations.action_log import Acting, Action, Actor, WantedActions
from tests.support import job_runs
from worker.infrastructure.errors import Refused
from worker.jobs import job_control, job_retry, submission
from worker.wiring import Wired

CONTACTS = ["c1/p1", "c1/p2", "c2/p3"]
ADA = Acting(Actor("ada", "command line on a test"), "the customer called")


@pytest.fixture
def deps(database_url, tmp_path) -> Iterator[Wired]:
    wired = job_runs.wire_to(database_url, tmp_path)
    with closing(wired.database):
        job_runs.create_license(wired)
        job_runs.know(wired, "p1", "p2", "p3")
        yield wired


def _submitted(deps: Wired) -> str:
    return submission.submit(deps, job_runs.quote(deps, CONTACTS).id)


def _finishing(deps: Wired) -> str:
    job_id = _submitted(deps)
    job_runs.run_chunks(deps, job_id)
    return job_id


def _ended(deps: Wired) -> str:
    job_id = _submitted(deps)
    job_control.cancel(deps, job_id)
    job_runs.complete(deps)
    return job_id


def _paused(deps: Wired) -> str:
    job_id = _submitted(deps)
    job_control.pause(deps, job_id)
    return job_id


_Case = tuple[Callable[[Wired], str], Callable[[Wired, str, Acting], object]]
_VERBS: dict[str, _Case] = {
    "cancel": (_submitted, job_control.cancel),
    "pause": (_submitted, job_control.pause),
    "resume": (_paused, job_control.resume),
    "give_up": (_finishing, job_control.give_up),
    "retry": (_ended, lambda deps, job, by: job_retry.retry(deps, job, by=by)),
}
_UNFIT: dict[str, _Case] = {
    "cancel": (_finishing, job_control.cancel),
    "pause": (_ended, job_control.pause),
    "resume": (_ended, job_control.resume),
    "give_up": (_submitted, job_control.give_up),
    "retry": (_submitted, lambda deps, job, by: job_retry.retry(deps, job, by=by)),
}


def _actions(deps: Wired, **wanted: object) -> list[Action]:
    with deps.database.transaction() as connection:
        return action_log.actions(connection, WantedActions(**wanted))  # type: ignore[arg-type]


@pytest.mark.parametrize("verb", _VERBS)
def test_a_verb_is_noted_once_with_who_what_and_why_however_often_it_is_asked(
    deps, verb
):
    prepare, act = _VERBS[verb]
    job_id = prepare(deps)
    for _ in range(3):
        act(deps, job_id, ADA)
    (noted,) = _actions(deps)
    assert (noted.verb, noted.target_kind, noted.target) == (verb, "job", job_id)
    assert (noted.actor, noted.origin) == ("ada", "command line on a test")
    assert (noted.reason, noted.license_id) == ("the customer called", "acme")
    assert (noted.key_id, noted.affected) == (None, 1)


@pytest.mark.parametrize("verb", _UNFIT)
def test_what_is_refused_is_noted_nowhere(deps, verb):
    prepare, act = _UNFIT[verb]
    job_id = prepare(deps)
    for name in (job_id, "job_of_nobody"):
        with pytest.raises(Refused):
            act(deps, name, ADA)
    assert _actions(deps) == []


def test_a_retry_that_the_credits_do_not_suffice_for_is_noted_nowhere(deps):
    job_id = _ended(deps)
    with pytest.raises(Refused):
        job_retry.retry(deps, job_id, max_credits=1, by=ADA)
    assert _actions(deps) == []


def test_of_many_who_ask_the_same_at_once_one_is_noted(deps):
    job_id, together = _submitted(deps), Barrier(5)

    def pause(number: int) -> bool:
        by = Acting(Actor(f"user {number}", "here"))
        together.wait()
        return job_control.pause(deps, job_id, by)

    with ThreadPoolExecutor(5) as pool:
        moved = list(pool.map(pause, range(5)))
    (noted,) = _actions(deps)
    assert noted.actor == f"user {moved.index(True)}"
    assert moved.count(True) == 1


def test_actions_are_listed_newest_first_by_license_job_and_page(deps):
    job_runs.create_license(deps, "beta")
    first, second = _submitted(deps), _submitted(deps)
    for job_id in (first, second, first):
        job_control.pause(deps, job_id, ADA)
        job_control.resume(deps, job_id, ADA)
    ids = [action.id for action in _actions(deps)]
    assert ids == sorted(ids, reverse=True)
    assert len(ids) == 6
    assert [action.target for action in _actions(deps, job_id=second)] == [second] * 2
    assert _actions(deps, license_id="beta") == []
    assert [action.id for action in _actions(deps, before=ids[3])] == ids[4:]


@pytest.mark.parametrize("table", ["actions", "job_changes"])
@pytest.mark.parametrize(
    "statement", ["UPDATE {} SET id = DEFAULT", "DELETE FROM {}", "TRUNCATE {} CASCADE"]
)
def test_what_was_noted_is_never_changed(deps, table, statement):
    job_control.cancel(deps, _submitted(deps), ADA)
    with (
        pytest.raises(IntegrityError, match="are never changed"),
        deps.database.transaction() as connection,
    ):
        connection.execute(text(statement.format(table)))
