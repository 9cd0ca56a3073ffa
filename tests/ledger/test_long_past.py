"""What a license and its neighbours have done before costs a request nothing.

Told by the rows that PostgreSQL has read, under the plan that serves any value: how
long that takes is the benchmark's to say.
"""

from datetime import UTC, datetime, timedelta
from typing import Self

import pytest
from sqlalchemy import Connection, text

from pricing.plans import Item
from storage.jobs import job_reports
from storage.jobs.job_reports import WantedJobs
from storage.ledger import charges, entitlements, periods, usage
from storage.ledger.charges import Wanted
from storage.ledger.usage import UsageBy
from storage.state_machine import JobState

_LICENSES = 50
_JOBS = 2000
"""All ended, in turn of these licenses."""

_LINES = 20
"""Charges of a job, and entitlements."""

_FEW = 250
"""Rows that may be read where there are tens of thousands."""

_START = datetime.now(UTC)

_PAST = (
    """
    INSERT INTO licenses (id, name, plan, payment_term, credits, features, starts_at,
                          anchor_at, anchor_term)
    SELECT 'l' || l, 'l', 'V2', 'monthly', 0, '{}', :start, :start, 'monthly'
      FROM generate_series(0, :licenses - 1) AS l""",
    """
    INSERT INTO periods (id, license_id, starts_at, ends_at, ended_at)
    OVERRIDING SYSTEM VALUE
    SELECT l, 'l' || l % :licenses, :start + l * interval '1 day',
           :start + (l + 1) * interval '1 day',
           CASE WHEN l % 2 = 0 THEN CAST(:start AS timestamptz) END
      FROM generate_series(0, :jobs - 1) AS l""",
    """
    INSERT INTO reservations (id, license_id, period_id, job_id, state, amount, settled,
                              deadline_at, closed_at, lifetime_s)
    OVERRIDING SYSTEM VALUE
    SELECT j, 'l' || j % :licenses, j, 'j' || j, 'closed', :lines, :lines, :start,
           :start, 1
      FROM generate_series(0, :jobs - 1) AS j""",
    """
    INSERT INTO jobs (id, quote_id, license_id, user_id, kind, state, records,
                      open_chunks, created_at, finished_at)
    SELECT 'j' || j, 'q' || j, 'l' || j % :licenses, 'u', 'export', 'succeeded', :lines,
           0, :start + j * interval '1 minute', :start + j * interval '1 minute'
      FROM generate_series(0, :jobs - 1) AS j""",
    """
    INSERT INTO charges (id, license_id, period_id, reservation_id, job_id, user_id,
                         item, subject, digest, credits, rule, charged_at)
    SELECT j * :lines + n, 'l' || j % :licenses, j, j, 'j' || j, 'u', 'email',
           'p' || j * :lines + n, '', 1, 'price', :start
      FROM generate_series(0, :jobs - 1) AS j, generate_series(0, :lines - 1) AS n""",
    """
    INSERT INTO entitlements (license_id, item, subject, digest, settled_as,
                              exported_at, exported_by)
    SELECT CASE WHEN id % 2 = 0 THEN 'l0' ELSE license_id END, item, subject, digest,
           id, charged_at, id FROM charges""",
)


@pytest.fixture(scope="module")
def past(shared_database):
    """A transaction that finds a long past; half of all entitlements are of l0."""
    with shared_database.transaction() as connection:
        # Of each row alone, without all that it stands on.
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        sizes = {"licenses": _LICENSES, "jobs": _JOBS, "lines": _LINES}
        for statement in _PAST:
            connection.execute(text(statement), sizes | {"start": _START})
        connection.execute(text("ANALYZE"))
        connection.execute(text("SET LOCAL plan_cache_mode = force_generic_plan"))
        yield connection
        connection.rollback()


_READ = text("""
SELECT coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0)
  FROM pg_stat_xact_user_tables WHERE relname = ANY (:tables)
""")


class _Reads:
    """How many rows of some tables the block has read."""

    def __init__(self, connection: Connection, *tables: str) -> None:
        self._connection, self._tables = connection, tables
        self.rows = 0

    def _so_far(self) -> int:
        found = self._connection.execute(_READ, {"tables": list(self._tables)})
        return int(found.scalar_one())

    def __enter__(self) -> Self:
        self.rows = -self._so_far()
        return self

    def __exit__(self, *_: object) -> None:
        self.rows += self._so_far()


@pytest.mark.parametrize("license_id", ["l0", "l1"])
def test_what_was_paid_for_is_asked_by_subject(past, license_id):
    persons = [f"p{number}" for number in range(0, _LINES * 5, 2)]
    with _Reads(past, "entitlements") as reads:
        paid = entitlements.paid(
            past,
            license_id,
            _START,
            companies=[],
            persons=persons,
            items=[Item.EMAIL],
        )
    assert len(paid) == (len(persons) if license_id == "l0" else 0)
    assert reads.rows < _FEW


def test_a_license_that_has_little_is_read_as_a_whole(past):
    persons = [f"p{number}" for number in range(10_000)]
    held = past.execute(
        text("SELECT count(*) FROM entitlements WHERE license_id = 'l1'")
    ).scalar_one()
    with _Reads(past, "entitlements") as reads:
        paid = entitlements.paid(
            past, "l1", _START, companies=[], persons=persons, items=[Item.EMAIL]
        )
    assert paid
    assert reads.rows < 3 * held


def test_a_page_of_a_licenses_charges_reads_that_page(past):
    with _Reads(past, "charges") as reads:
        found = charges.find(past, Wanted(license_id="l3"), after=0, limit=100)
    assert {charge.license_id for charge in found} == {"l3"}
    assert len(found) == 100
    assert reads.rows < _FEW


def test_a_page_of_a_licenses_jobs_reads_that_page(past):
    with _Reads(past, "jobs") as reads:
        found = job_reports.jobs(past, WantedJobs(license_id="l3"), limit=100)
    assert len(found) == _JOBS // _LICENSES
    assert reads.rows < _FEW


def test_jobs_that_run_are_not_looked_for_among_the_ended(past):
    with _Reads(past, "jobs") as reads:
        assert job_reports.jobs(past, WantedJobs(state=JobState.RUNNING)) == []
    assert reads.rows < _FEW


def test_the_usage_of_a_period_reads_no_other_licenses_charges(past):
    with _Reads(past, "charges") as reads:
        used = usage.of_period(past, "l3", 3, UsageBy.JOB)
    assert [(one.key, one.credits) for one in used] == [("j3", _LINES)]
    assert reads.rows <= _LINES * _JOBS // _LICENSES


def test_periods_are_not_looked_at_before_they_end_nor_after(past):
    with _Reads(past, "periods") as reads:
        assert periods.end(past) == 0
    assert reads.rows < _FEW


def test_what_is_not_asked_for_does_not_matter(past):
    newest = job_reports.jobs(past, WantedJobs(), limit=3)
    assert [job.id for job in newest] == [f"j{_JOBS - n}" for n in (1, 2, 3)]
    before = WantedJobs(before=newest[0].id, kind="export", state=JobState.SUCCEEDED)
    assert job_reports.jobs(past, before, limit=2) == newest[1:]
    second = _START + timedelta(days=1)
    of_period = Wanted(period_starts_at=second, item="email", job_id="j1")
    found = charges.find(past, of_period, after=_LINES, limit=2)
    assert [charge.id for charge in found] == [_LINES + 1, _LINES + 2]
