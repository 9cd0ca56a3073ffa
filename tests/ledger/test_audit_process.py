"""The audit runs in a process of its own: whoever starts it goes on meanwhile."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import psutil
import pytest
from sqlalchemy import text

from storage.database import Database
from tests.support import job_runs
from tests.support.fleet import assert_exact, fleet_of, load_persons, submit, until
from tests.support.servers import own_broker
from worker.ledger.audit_process import AuditProcess
from worker.wiring import Wired

_NOW_AND_THEN: dict[str, Any] = {"audit_interval_s": 0.2}


@pytest.fixture
def deps(database_url, tmp_path) -> Iterator[Wired]:
    deps = job_runs.wire_to(database_url, tmp_path, **_NOW_AND_THEN)
    with closing(deps.database):
        job_runs.create_license(deps)
        yield deps


@contextmanager
def _no_end(database: Database) -> Iterator[None]:
    """An audit that is started meanwhile waits for what only it asks for."""
    with database._engine.begin() as connection:
        connection.execute(text("LOCK TABLE audit_violations"))
        yield


def _scalar(database: Database, statement: str) -> int:
    with database._engine.begin() as connection:
        found: int = connection.execute(text(statement)).scalar_one()
        return found


_WAITS = """
SELECT count(*) FROM pg_locks
 WHERE NOT granted AND relation = to_regclass('audit_violations')"""
_RUNS = "SELECT count(*) FROM audit_runs"


def test_whoever_starts_an_audit_goes_on_and_it_ends_by_itself(deps, caplog):
    process = AuditProcess(deps)
    with _no_end(deps.database):

        def waits() -> bool:
            process.turn()
            return _scalar(deps.database, _WAITS) == 1

        until(waits)
        process.turn()
        assert _scalar(deps.database, _RUNS) == 0

    def ended() -> bool:
        process.turn()
        return process._process is None and _scalar(deps.database, _RUNS) > 0

    until(ended)
    assert "the audit ended with" not in caplog.text


def test_an_audit_that_is_ended_asks_nothing_any_more(deps):
    process = AuditProcess(deps)
    with _no_end(deps.database):

        def waits() -> bool:
            process.turn()
            return _scalar(deps.database, _WAITS) == 1

        until(waits)
        process.stop()
        until(lambda: _scalar(deps.database, _WAITS) == 0)
    assert _scalar(deps.database, _RUNS) == 0


def test_the_time_of_an_audit_is_bounded(database_url, tmp_path, caplog):
    deps = job_runs.wire_to(
        database_url, tmp_path, **_NOW_AND_THEN, audit_timeout_s=0.01
    )
    with closing(deps.database):
        job_runs.create_license(deps)
        process = AuditProcess(deps)

        def ended() -> bool:
            process.turn()
            return "takes too long" in caplog.text

        until(ended)
        process.stop()


@pytest.mark.slow
def test_a_dispatcher_goes_on_dispatching_and_its_audit_ends_with_it(
    database, database_url, tmp_path
):
    folder = tmp_path / "fleet"
    with (
        own_broker(tmp_path / "broker") as broker,
        broker.running(),
        fleet_of(folder, database_url, broker.url, AUDIT_INTERVAL_S="0.5") as fleet,
    ):
        load_persons(fleet.deps, 40)
        with _no_end(database):
            dispatcher, _ = fleet.start("dispatcher", "worker")
            until(lambda: _scalar(database, _WAITS) == 1)
            (child,) = psutil.Process(dispatcher.pid).children()
            job_id = submit(fleet.deps, 0, 40)
            assert_exact(fleet, job_id, 0, 40)
            assert child.is_running()
            dispatcher.kill()
            dispatcher.wait()
            psutil.wait_procs([child], timeout=30)
            assert not child.is_running()
            until(lambda: _scalar(database, _WAITS) == 0)
