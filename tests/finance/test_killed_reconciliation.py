"""A reconciliation whose process is killed goes on as if nothing had been."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from sqlalchemy import text

from storage.finance.reconciliation import runs
from storage.finance.reconciliation.runs import Run, Shown
from tests.support import job_runs
from tests.support.fleet import until
from worker.finance.reconciliation import reconciliations
from worker.jobs import submission
from worker.wiring import Wired

_COUNTS = ("state", "periods", "jobs", "charges", "recomputed", "not_recomputable")


@pytest.fixture
def deps(database_url, tmp_path) -> Iterator[Wired]:
    deps = job_runs.wire_to(database_url, tmp_path)
    with closing(deps.database):
        for license_id in ("acme", "blix", "corp"):
            job_runs.create_license(deps, license_id)
            for contacts in (("c1/p1", "c2"), ("c2", "c3")):
                job_runs.run(deps, _submitted(deps, license_id, *contacts))
        _submitted(deps, "corp", "c9")
        _execute(deps, "UPDATE jobs SET file_bytes = file_bytes + 1")
        yield deps


def _submitted(deps: Wired, license_id: str, *contacts: str) -> str:
    quote = job_runs.quote(deps, contacts, license_id=license_id)
    return submission.submit(deps, quote.id)


def _execute(deps: Wired, statement: str) -> None:
    with deps.database.transaction() as connection:
        connection.execute(text(statement))


def _asked(deps: Wired) -> int:
    with deps.database.transaction() as connection:
        return runs.put(connection, runs.OPEN, None)


def _shown(deps: Wired, run_id: int) -> Shown:
    return reconciliations.show(deps, run_id, limit=1_000)


@contextmanager
def _process(deps: Wired) -> Iterator[subprocess.Popen[bytes]]:
    """What the dispatcher starts; it ends with its standard input."""
    settings = deps.settings
    process = subprocess.Popen(
        [sys.executable, "-m", "worker.cli", "reconcile-process"],
        env=os.environ
        | {
            "HOLDFAST_HOME": str(settings.home),
            "HOLDFAST_DATABASE_URL": str(settings.database_url),
            "HOLDFAST_ARTIFACTS_URL": str(settings.artifacts_url),
        },
        stdin=subprocess.PIPE,
    )
    with process:
        yield process


def _worked_off(deps: Wired, run_id: int) -> Shown:
    """The same by a process that nobody disturbs, and no job holds back."""
    _execute(deps, "UPDATE chunks SET run_at = 'infinity' WHERE state = 'pending'")
    with _process(deps) as process:
        until(lambda: process.poll() is not None)
    assert process.returncode == 0
    return _shown(deps, run_id)


def _found(shown: Shown) -> list[tuple[object, ...]]:
    found = [*shown.differences, *shown.reasons]
    return [(one.job_id, one.place, one.expected, one.found) for one in found]


def _killed(deps: Wired, run_id: int) -> Run:
    """Kill it in the pause after its first jobs: another job waits for a worker."""
    _execute(deps, "UPDATE chunks SET run_at = now() WHERE state = 'pending'")
    with _process(deps) as process:
        until(lambda: _shown(deps, run_id).run.cursor_reservation > 0)
        process.kill()
        process.wait()
        return _shown(deps, run_id).run


def test_a_killed_process_is_gone_on_from_and_finds_the_same(deps):
    whole = _worked_off(deps, _asked(deps))
    run_id = _asked(deps)
    killed = _killed(deps, run_id)
    assert killed.state == "running"
    assert 0 < killed.jobs < whole.run.jobs
    # A minute later.
    _execute(
        deps, "UPDATE reconciliations SET lease_until = now() WHERE lease_until > now()"
    )
    resumed = _worked_off(deps, run_id)
    for name in _COUNTS:
        assert getattr(resumed.run, name) == getattr(whole.run, name), name
    assert resumed.run.jobs == 7
    assert resumed.run.differences == len(resumed.differences) == 6
    assert sorted(_found(resumed)) == sorted(_found(whole))
