"""Processes: how each stands, what it has in hand, and who asked it to drain."""

from contextlib import closing

import pytest
from sqlalchemy import text

from storage.jobs import chunks, heartbeats
from storage.operations import action_log, processes
from storage.operations.action_log import Acting, Actor, WantedActions
from storage.operations.processes import Process
from tests.support import job_runs
from worker.infrastructure.dependencies import new_owner
from worker.infrastructure.errors import Code, Refused
from worker.jobs import submission
from worker.jobs.process_report import about
from worker.operations import worker_drain

ADA = Acting(Actor("ada", "here"), "a new kernel")


@pytest.fixture
def deps(database_url, tmp_path):
    wired = job_runs.wire_to(database_url, tmp_path)
    with closing(wired.database):
        yield wired


def _report(deps, process_id: str, role: str = "worker", *, drains=False) -> bool:
    with deps.database.transaction() as connection:
        said = about(drains=drains)
        return heartbeats.report(connection, process_id, role, about=said)


def _shown(deps, process_id: str) -> Process:
    (found,) = (one for one in worker_drain.every(deps) if one.id == process_id)
    return found


def test_a_worker_is_asked_hears_of_it_drains_and_goes_on(deps):
    assert not _report(deps, "w1")
    assert _shown(deps, "w1").state == "alive"
    for _ in range(2):
        assert worker_drain.drain(deps, "w1", ADA).state == "draining"
    assert _report(deps, "w1"), "it hears of it with its next report"
    assert _shown(deps, "w1").draining_since is None
    _report(deps, "w1", drains=True)
    since = _shown(deps, "w1").draining_since
    _report(deps, "w1", drains=True)
    assert _shown(deps, "w1").draining_since == since is not None
    assert _shown(deps, "w1").state == "drained"
    for _ in range(2):
        worker_drain.undrain(deps, "w1", ADA)
    assert not _report(deps, "w1")
    assert (_shown(deps, "w1").state, _shown(deps, "w1").draining_since) == (
        "alive",
        None,
    )
    with deps.database.transaction() as connection:
        noted = action_log.actions(connection, WantedActions())
    assert [(one.verb, one.target_kind, one.target) for one in noted] == [
        ("undrain", "process", "w1"),
        ("drain", "process", "w1"),
    ]


def test_what_a_workers_children_run_is_the_workers(deps):
    job_runs.create_license(deps)
    submission.submit(deps, job_runs.quote(deps, ["c1", "c2", "c3", "c4"]).id)
    for process_id in ("w1", "w10"):
        _report(deps, process_id, drains=True)
    with deps.database.transaction() as connection:
        query = text("SELECT id FROM chunks ORDER BY id")
        first, second = connection.execute(query).scalars()
        for chunk_id in (first, second):
            owner = new_owner("w10")
            assert chunks.take(connection, chunk_id, owner=owner, lease_s=60)
    busy = _shown(deps, "w10")
    assert [chunk.id for chunk in busy.chunks] == [first, second]
    assert (busy.state, _shown(deps, "w1").state) == ("draining", "drained")
    assert processes.worker_of(busy.chunks[0].owner or "") == "w10"


def test_one_that_says_nothing_is_silent(deps):
    _report(deps, "w1")
    with deps.database.transaction() as connection:
        ago = text("UPDATE processes SET seen_at = now() - interval '10 minutes'")
        connection.execute(ago)
    _report(deps, "w2")
    assert {one.id: one.state for one in worker_drain.every(deps)} == {
        "w1": "silent",
        "w2": "alive",
    }


@pytest.mark.parametrize(
    ("name", "code"), [("nobody", Code.NOT_FOUND), ("d1", Code.WRONG_STATE)]
)
def test_only_a_worker_is_drained(deps, name, code):
    _report(deps, "d1", "dispatcher")
    for ask in (worker_drain.drain, worker_drain.undrain):
        with pytest.raises(Refused) as refused:
            ask(deps, name, ADA)
        assert refused.value.code is code
    with deps.database.transaction() as connection:
        assert action_log.actions(connection, WantedActions()) == []
