"""A retry keeps what its job's quote has decided, record by record.

Whatever became of a job on the way, it and its retries together deliver what the job
would have delivered undisturbed, and cost the same: the same records of a twin license
say what that is.
"""

from collections.abc import Iterator
from contextlib import closing
from itertools import count, pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from pricing.findings import EmailLevel, OnlyWith
from pricing.plans import Item, Plan
from storage.jobs import outcomes
from storage.jobs.job_reports import JobReport
from storage.quotes.quotes import Request
from storage.state_machine import JobState
from tests.support import job_runs
from tests.support.business_time import DAY_S, shift_to
from worker.infrastructure.errors import BadInput
from worker.jobs import job_control, job_retry, submission
from worker.jobs.chunk_runner import run_chunk
from worker.jobs.delivery import RetryChanges
from worker.quotes.readers import inline_records
from worker.wiring import Wired

DAYS = (0, 40, 80)
"""Each later than the one before by more than the free window of 30 days."""

LICENSES = count()
KNOWN = ("p0", "p1", "p2")


class Days:
    """The same house, day by day: asking for one moves business time there."""

    def __init__(self, deps: Wired) -> None:
        self._deps = deps

    def __getitem__(self, day: int) -> Wired:
        shift_to(self._deps.database, DAYS[day] * DAY_S)
        return self._deps

    def __len__(self) -> int:
        return len(DAYS)


@pytest.fixture
def clocks(database_url, tmp_path) -> Iterator[Days]:
    deps = job_runs.wire_to(database_url, tmp_path, chunk_records=2)
    with closing(deps.database):
        job_runs.know(deps, *KNOWN)
        yield Days(deps)


@pytest.fixture
def deps(clocks: Days) -> Wired:
    job_runs.create_license(clocks[0])
    today: Wired = clocks[0]
    return today


def _submit(
    deps: Wired,
    license_id: str,
    records: list[Any],
    export: dict[str, Any],
    **asked: Any,
) -> str:
    wanted: dict[str, Any] = {"retrieve": (Item.EMAIL, Item.PHONE), "only_with": None}
    request = Request(
        kind="export",
        license_id=license_id,
        user_id="user-1",
        email_level=EmailLevel.VERIFIED,
        export=export,
        **wanted | asked,
    )
    return submission.submit_at_once(deps, request, inline_records.read(records))


def _run_some(deps: Wired, job_id: str, chunks: int) -> JobReport:
    """Run so many chunks of a job, and cancel what is left."""
    with deps.database.transaction() as connection:
        waiting = connection.execute(
            text("SELECT id FROM chunks WHERE job_id = :id ORDER BY id LIMIT :n"),
            {"id": job_id, "n": chunks},
        )
        ids = list(waiting.scalars())
    for chunk_id in ids:
        run_chunk(deps, chunk_id)
    job_runs.complete(deps)
    if job_runs.report(deps, job_id).finished_at is None:
        job_control.cancel(deps, job_id)
        job_runs.complete(deps)
    return job_runs.report(deps, job_id)


def _ends(deps: Wired, job_ids: list[str]) -> dict[int, str]:
    """How each record ended in the last of these jobs that reached it."""
    ends: dict[int, str] = {}
    for job_id in job_ids:
        with deps.database.transaction() as connection:
            rows = outcomes.of_job(connection, job_id, after=0, limit=100)
        ends |= {row.record: row.outcome for row in rows}
    return ends


def _disturbed(
    clocks: Days, job_id: str, stops: list[tuple[int, int]]
) -> list[JobReport]:
    """Run a job and its retries, each for some chunks and later than the one before."""
    reports, day = [], 0
    for chunks, later in stops:
        reports.append(_run_some(clocks[day], job_id, chunks))
        day = min(day + later, len(clocks) - 1)
        if reports[-1].state is JobState.SUCCEEDED:
            return reports
        # What no cell of Excel holds goes into a CSV.
        changes = RetryChanges(export={"format": "csv"})
        job_id = job_retry.retry(clocks[day], job_id, changes=changes)
    return [*reports, job_runs.run(clocks[day], job_id)]


contacts = st.builds(
    lambda company, person, note: {
        "company_id": f"c{company}",
        "person_id": f"p{person}" if person < 5 else "",
        "company_domain": f"d{company}.example",
        "note": note,
    },
    st.integers(0, 2),
    st.integers(0, 5),
    st.sampled_from(["fine", "fine", "\ufffe"]),
)


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    plan=st.sampled_from([Plan.V2, Plan.V3]),
    before=st.lists(contacts, max_size=3),
    records=st.lists(contacts, min_size=2, max_size=9),
    per_company=st.sampled_from([None, 0, 1, 2]),
    skip=st.booleans(),
    only_with=st.sampled_from([None, OnlyWith.EMAIL]),
    stops=st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 1)), min_size=1, max_size=3
    ),
)
def test_a_job_and_its_retries_deliver_and_cost_what_the_job_alone_would_have(
    clocks, plan, before, records, per_company, skip, only_with, stops
):
    filters = {"contacts_per_company": per_company, "skip_exported": skip}
    jobs = {}
    for name in ("alone", "disturbed"):
        license_id = f"{name}-{next(LICENSES)}"
        job_runs.create_license(clocks[0], license_id, plan=plan)
        if before:
            first = _submit(clocks[0], license_id, before, {"format": "csv"})
            job_runs.run(clocks[0], first)
        format_ = {"format": "csv" if name == "alone" else "xlsx"}
        jobs[name] = _submit(
            clocks[0], license_id, records, filters | format_, only_with=only_with
        )
    alone = job_runs.run(clocks[0], jobs["alone"])
    reports = _disturbed(clocks, jobs["disturbed"], stops)
    ends = _ends(clocks[0], [report.id for report in reports])
    assert ends == _ends(clocks[0], [alone.id])
    assert sum(report.settled for report in reports) == alone.settled
    assert reports[0].reserved == alone.reserved
    for earlier, later in pairwise(reports):
        assert later.reserved <= earlier.released


def test_contacts_that_were_left_out_stay_so_and_no_company_has_more(deps):
    records = [{"company_id": "c", "person_id": f"p{n}"} for n in range(4)]
    job_id = _submit(deps, "acme", records, {"contacts_per_company": 3})
    assert _run_some(deps, job_id, 1).delivered == 2
    again = job_runs.run(deps, job_retry.retry(deps, job_id))
    assert (again.delivered, again.excluded) == (1, 1)


def test_what_the_job_itself_has_delivered_is_no_reason_to_skip_its_rest(deps):
    records = [{"company_id": "c", "person_id": "p0"}, {"company_id": "d"}]
    records += [{"company_id": "c"}, {"company_id": "d", "person_id": "p1"}]
    job_id = _submit(deps, "acme", records, {"skip_exported": True})
    assert _run_some(deps, job_id, 1).delivered == 2
    again = job_runs.run(deps, job_retry.retry(deps, job_id))
    assert (again.delivered, again.excluded, again.settled) == (2, 0, 3)


def test_what_was_given_back_is_paid_for_where_the_retry_delivers_it(deps):
    records = [{"company_id": "c", "person_id": f"p{n}"} for n in range(4)]
    job_id = _submit(deps, "acme", records, {"format": "csv"})
    job_runs.run_chunks(deps, job_id)
    job_control.give_up(deps, job_id)
    assert job_runs.report(deps, job_id).refunded == 1 + 3 * 3
    again = job_runs.run(deps, job_retry.retry(deps, job_id))
    assert (again.delivered, again.settled) == (4, 1 + 3 * 3)


def test_the_terms_of_the_first_quote_hold_for_the_retry(clocks, deps):
    records = [{"company_id": "c", "person_id": f"p{n}"} for n in range(4)]
    job_id = _submit(deps, "acme", records, {"format": "csv"})
    _run_some(deps, job_id, 1)
    with deps.database.transaction() as connection:
        connection.execute(text("UPDATE licenses SET plan = 'V3'"))
    again = job_retry.retry(clocks[1], job_id)
    with deps.database.transaction() as connection:
        terms = connection.execute(
            text("""
                SELECT terms ->> 'plan' FROM quotes
                 WHERE id = (SELECT quote_id FROM jobs WHERE id = :id)"""),
            {"id": again},
        )
        assert terms.scalar() == "V2"
    # The company was paid for 40 days ago, by the job itself.
    assert job_runs.run(clocks[1], again).settled == 3


def test_a_job_whose_file_lacks_a_column_is_retried_with_one(deps):
    records = [{"company_id": "c", "person_id": f"p{n}"} for n in range(3)]
    job_id = _submit(deps, "acme", records, {"format": "csv"})
    with deps.database.transaction() as connection:
        # As quotes of before could be.
        connection.execute(
            text("""
                UPDATE quotes SET export = '{"format": "xlsx",
                       "columns": [{"field": "company_id"}, {"field": "email"}]}'""")
        )
    assert _run_some(deps, job_id, 1).settled == 1 + 2
    with pytest.raises(BadInput, match=r"export.columns: has no column for the phone"):
        job_retry.retry(deps, job_id)
    changes = RetryChanges(export={"columns": [{"field": "email"}, {"field": "phone"}]})
    again = job_runs.run(deps, job_retry.retry(deps, job_id, changes=changes))
    assert (again.delivered, again.settled, again.phones_found) == (1, 3, 1)
    assert (again.file_name or "").endswith(".xlsx")
