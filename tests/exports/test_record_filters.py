"""What an export leaves out is known to its quote, excluded, and costs nothing."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from storage.jobs import outcomes
from storage.jobs.job_reports import JobReport
from storage.quotes.quotes import StoredQuote
from tests.support import job_runs
from worker.jobs import job_control, submission
from worker.wiring import Wired

PEOPLE = ("p1", "p2", "p3", "p4")


@pytest.fixture
def deps(database_url, tmp_path) -> Iterator[Wired]:
    wired = job_runs.wire_to(database_url, tmp_path)
    with closing(wired.database):
        job_runs.create_license(wired)
        job_runs.know(wired, *PEOPLE)
        yield wired


def _quote(deps: Wired, contacts: list[str], **chosen: object) -> StoredQuote:
    return job_runs.quote(deps, contacts, export={"format": "csv", **chosen})


def _export(deps: Wired, contacts: list[str], **chosen: object) -> JobReport:
    stored = _quote(deps, contacts, **chosen)
    return job_runs.run(deps, submission.submit(deps, stored.id))


def _ends(deps: Wired, job: JobReport) -> list[str]:
    with deps.database.transaction() as connection:
        found = outcomes.of_job(connection, job.id, after=0, limit=100)
    return [row.outcome for row in found]


def test_only_the_first_contacts_of_a_company_are_priced_and_delivered(deps):
    contacts = ["c1/p1", "c1", "c2/p2", "c1/p3", "c1/p4"]
    stored = _quote(deps, contacts, contacts_per_company=2)
    # Two companies, and e-mail and phone of three persons.
    assert (stored.quote.max_credits, stored.quote.excluded) == (2 + 3 * 3, 1)
    assert (stored.quote.records, stored.quote.persons) == (5, 3)
    job = job_runs.run(deps, submission.submit(deps, stored.id))
    assert _ends(deps, job) == ["delivered"] * 4 + ["excluded"]
    assert (job.settled, job.emails_found, job.state) == (11, 3, "succeeded")


def test_no_contacts_at_all_leave_companies_alone(deps):
    job = _export(deps, ["c1/p1", "c1"], contacts_per_company=0)
    assert (_ends(deps, job), job.settled) == (["excluded", "delivered"], 1)


def test_what_was_delivered_before_is_skipped(deps):
    _export(deps, ["c1/p1", "c2"])
    contacts = ["c1/p1", "c1/p2", "c2", "c2/p3", "c1", "c3"]
    stored = _quote(deps, contacts, skip_exported=True)
    job = job_runs.run(deps, submission.submit(deps, stored.id))
    assert stored.quote.excluded == 3
    assert _ends(deps, job) == [
        "excluded",
        "delivered",
        "excluded",
        "delivered",
        "excluded",
        "delivered",
    ]


def test_skipped_contacts_take_no_place_among_a_companys(deps):
    _export(deps, ["c1/p1"])
    job = _export(
        deps, ["c1/p1", "c1/p2", "c1/p3"], skip_exported=True, contacts_per_company=1
    )
    assert _ends(deps, job) == ["excluded", "delivered", "excluded"]


def test_what_another_license_was_delivered_is_not_skipped(deps):
    job_runs.create_license(deps, "other")
    _export(deps, ["c1/p1"])
    stored = job_runs.quote(
        deps,
        ["c1/p1"],
        license_id="other",
        export={"format": "csv", "skip_exported": True},
    )
    assert stored.quote.excluded == 0


def test_what_was_given_up_or_excluded_is_not_skipped(deps):
    given_up = submission.submit(deps, _quote(deps, ["c1/p1"]).id)
    job_runs.run_chunks(deps, given_up)
    job_control.give_up(deps, given_up)
    _export(deps, ["c1/p1", "c1/p2"], contacts_per_company=0)
    stored = _quote(deps, ["c1/p1", "c1/p2"], skip_exported=True)
    assert stored.quote.excluded == 0


def test_a_job_that_leaves_all_out_costs_nothing(deps):
    _export(deps, ["c1/p1", "c2"])
    job = _export(deps, ["c1/p1", "c2"], skip_exported=True)
    assert (job.state, job.reserved, job.excluded) == ("succeeded", 0, 2)


def test_filters_hold_across_batches_of_the_quote(deps):
    contacts = [f"c1/q{number}" for number in range(6_000)]
    stored = _quote(deps, contacts, contacts_per_company=3)
    assert (stored.quote.persons, stored.quote.excluded) == (3, 5_997)
