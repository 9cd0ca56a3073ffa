"""Reconciling: what ended well differs in nothing, and what was changed is named."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from pricing.plans import Plan
from tests.support import job_runs
from worker.finance.reconciliation import reconciliations
from worker.jobs import submission
from worker.wiring import Wired


@pytest.fixture
def deps(database_url, tmp_path) -> Iterator[Wired]:
    deps = job_runs.wire_to(database_url, tmp_path)
    with closing(deps.database):
        job_runs.create_license(deps, plan=Plan.V3)
        yield deps


def _export(deps: Wired, *contacts: str, **asked) -> str:
    job_id = submission.submit(deps, job_runs.quote(deps, contacts, **asked).id)
    job_runs.run(deps, job_id)
    return job_id


def _reconcile(deps: Wired):
    run = reconciliations.run_now(deps, "open", None)
    return reconciliations.show(deps, run.id, limit=1000)


def test_what_ended_well_differs_in_nothing(deps):
    job_runs.know(deps, "p1", "p2", "p3")
    _export(deps, "c1/p1", "c1/p2", "c2/p3", "c3", "c4/p4")
    _export(deps, "c1/p1", "c2", "c5/p2")
    shown = _reconcile(deps)
    assert shown.differences == []
    assert shown.run.state == "done"
    assert shown.run.error is None
    assert shown.run.charges == shown.run.recomputed > 0
