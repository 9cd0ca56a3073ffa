"""A copied past is one that the product could have written: the audit believes it."""

from collections.abc import Iterator
from contextlib import closing

import pytest
from sqlalchemy import text

from bench.installations.copied_history import copy_job
from tests.support import job_runs
from worker.jobs import submission
from worker.wiring import Wired

_LICENSES, _JOBS = 3, 7
"""One job is left over: each license has as many."""
_CONTACTS = ["c1/p1", "c1/p2", "c2/p3", "c3"]


def _counts(connection):
    tables = ("charges", "entitlements", "outcomes", "jobs", "licenses", "parts")
    return {
        table: connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()
        for table in tables
    }


@pytest.fixture
def deps(database_url, tmp_path) -> Iterator[Wired]:
    wired = job_runs.wire_to(database_url, tmp_path)
    with closing(wired.database):
        job_runs.create_license(wired)
        job_runs.know(wired, "p1", "p2")
        yield wired


def test_copies_are_as_many_as_asked_and_their_ledger_adds_up(deps, database_url):
    job = submission.submit(deps, job_runs.quote(deps, _CONTACTS).id)
    job_runs.run(deps, job)
    with deps.database.transaction() as connection:
        before = _counts(connection)
    url = database_url.replace("+psycopg", "")
    copy_job(url, job, licenses=_LICENSES, jobs=_JOBS)
    with deps.database.transaction() as connection:
        after = _counts(connection)
    licenses = after.pop("licenses")
    assert licenses == before.pop("licenses") + _LICENSES
    assert after == {table: 7 * count for table, count in before.items()}
    spent = job_runs.balance(deps, "past-0").spent
    assert spent == 2 * job_runs.balance(deps).spent
    # What is new is numbered behind the copies; the fixture audits all at the end.
    quote = job_runs.quote(deps, ["c9/p1"], license_id="past-1")
    assert job_runs.run(deps, submission.submit(deps, quote.id)).delivered == 1
