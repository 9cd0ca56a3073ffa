"""What one job paid for, and what that means for the next: to the exact credit."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import timedelta

import pytest
from sqlalchemy import text

from pricing.plans import Item, PaymentTerm
from pricing.settlement import Rule
from storage.jobs import job_reports
from storage.refunds import refunds
from storage.refunds.refunds import RefundResult
from tests.support import job_runs
from tests.support.stored_jobs import (
    charge_of,
    end_job,
    make_job,
    make_license,
    refund,
    settle,
)
from worker.infrastructure.errors import Code, Refused
from worker.jobs import submission
from worker.jobs.chunk_runner import run_chunk
from worker.wiring import Wired

CONTACTS = ["c1/p1", "c1/p2", "c2/p3"]
ALL_FOUND = 2 * 1 + 3 * 1 + 3 * 2

At = Callable[[float], Wired]


@pytest.fixture
def at(database_url, tmp_path) -> Iterator[At]:
    """The use cases so many days from now."""
    with ExitStack() as stack:

        def wire(days: float) -> Wired:
            deps = job_runs.wire_to(database_url, tmp_path, days=days)
            stack.enter_context(closing(deps.database))
            return deps

        yield wire


@pytest.fixture
def today(at) -> Wired:
    """Now, with a license that pays yearly and a directory that knows everybody."""
    deps: Wired = at(0)
    job_runs.create_license(deps)
    job_runs.know(deps, "p1", "p2", "p3")
    return deps


def _rules(deps: Wired, job_id: str) -> set[Rule]:
    with deps.database.transaction() as connection:
        return {sums.rule for sums in job_reports.charge_sums(connection, job_id)}


def _export(deps: Wired, contacts: list[str]) -> tuple[int, job_reports.JobReport]:
    """Quote, submit and run; what was quoted, and how the job ended."""
    stored = job_runs.quote(deps, contacts)
    job = job_runs.run(deps, submission.submit(deps, stored.id))
    return stored.quote.max_credits, job


def test_of_two_jobs_over_the_same_contacts_the_second_pays_nothing(today):
    quotes = [job_runs.quote(today, CONTACTS) for _ in range(2)]
    first, second = [submission.submit(today, stored.id) for stored in quotes]
    assert [stored.quote.max_credits for stored in quotes] == [ALL_FOUND, ALL_FOUND]
    assert job_runs.balance(today).reserved == 2 * ALL_FOUND

    paid = job_runs.run(today, first)
    assert (paid.settled, paid.released) == (ALL_FOUND, 0)
    free = job_runs.run(today, second)
    assert (free.settled, free.released) == (0, ALL_FOUND)
    assert _rules(today, second) == {Rule.PAID_MEANWHILE}
    assert job_runs.balance(today).available == 500 - ALL_FOUND


def test_two_jobs_that_take_turns_pay_once_between_them(today):
    quotes = [job_runs.quote(today, CONTACTS[::step]) for step in (1, -1)]
    first, second = [submission.submit(today, stored.id) for stored in quotes]
    with today.database.transaction() as connection:
        chunk_ids = connection.execute(
            text("SELECT id FROM chunks ORDER BY first, job_id")
        ).scalars()
        in_turns = list(chunk_ids)
    for chunk_id in in_turns:
        run_chunk(today, chunk_id)
    job_runs.complete(today)
    jobs = [job_runs.report(today, job_id) for job_id in (first, second)]
    assert sum(job.settled for job in jobs) == ALL_FOUND
    assert min(job.settled for job in jobs) > 0
    assert job_runs.balance(today).available == 500 - ALL_FOUND


def test_the_same_contacts_again_are_quoted_free(today):
    assert _export(today, CONTACTS)[1].settled == ALL_FOUND
    quoted, job = _export(today, CONTACTS)
    assert (quoted, job.settled, job.released) == (0, 0, 0)
    assert _rules(today, job.id) == {Rule.FREE_AS_QUOTED}


def test_a_further_contact_of_a_paid_company_costs_what_is_found_of_it(today):
    _export(today, ["c1/p1"])
    quoted, job = _export(today, ["c1/p1", "c1/p2"])
    assert (quoted, job.settled) == (3, 3)


def test_a_job_quoted_free_stays_free_though_its_window_lapses(today, at):
    _export(today, CONTACTS)
    stored = job_runs.quote(at(29), CONTACTS)
    job_id = submission.submit(at(29), stored.id)
    assert job_runs.quote(at(31), CONTACTS).quote.max_credits == ALL_FOUND

    job = job_runs.run(at(31), job_id)
    assert (job.reserved, job.settled) == (0, 0)
    assert _rules(today, job_id) == {Rule.FREE_AS_QUOTED}
    assert job_runs.quote(at(32), CONTACTS).quote.max_credits == 0
    assert job_runs.quote(at(62), CONTACTS).quote.max_credits == ALL_FOUND


@pytest.mark.parametrize(("seconds_more", "settled"), [(0, 0), (1, 1)])
def test_a_use_one_window_ago_to_the_second_still_counts(
    database, seconds_more, settled
):
    with database.transaction() as connection:
        make_license(connection)
        make_job(connection, "job-1", 1)
        settle(connection, "job-1", "email:p1=1")
        end_job(connection, "job-1")
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        used_at = connection.execute(
            text("""
                WITH line AS (
                  UPDATE charges SET charged_at = date_trunc('second', charged_at)
                  RETURNING charged_at)
                UPDATE entitlements SET exported_at = charged_at FROM line
                RETURNING exported_at""")
        ).scalar_one()
    second = used_at + timedelta(seconds=seconds_more)
    with database.transaction() as connection:
        make_job(connection, "job-2", 1, quoted_at=second + timedelta(days=30))
        assert settle(connection, "job-2", "email:p1=1") == settled
        end_job(connection, "job-2")


def test_a_job_settles_in_the_period_it_reserved_from(at):
    today = at(0)
    job_runs.create_license(today, term=PaymentTerm.MONTHLY)
    job_runs.know(today, "p1")
    stored = job_runs.quote(today, CONTACTS)
    job_id = submission.submit(today, stored.id)

    later = at(31)
    job_runs.quote(later, ["c9"])
    assert job_runs.balance(later).available == 500
    job = job_runs.run(later, job_id)
    assert (job.reserved, job.settled, job.released) == (11, 2 + 1 + 2, 6)

    with today.database.transaction() as connection:
        periods = connection.execute(
            text("""
                SELECT granted, reserved, spent, expired FROM periods
                 ORDER BY starts_at""")
        ).all()
    assert periods == [(500, 0, 5, 495), (500, 0, 0, 0)]


def test_a_quote_makes_no_job_after_its_period(at):
    today = at(0)
    job_runs.create_license(today, term=PaymentTerm.MONTHLY)
    stored = job_runs.quote(today, CONTACTS)
    with pytest.raises(Refused) as refused:
        submission.submit(at(31), stored.id)
    assert refused.value.code is Code.QUOTE_EXPIRED


def _refund(deps: Wired, job_id: str, words: str) -> None:
    with deps.database.transaction() as connection:
        charge = charge_of(connection, job_id, words)
        result = refund(connection, charge, "a wrong number")
    assert result is RefundResult.REFUNDED


def test_what_was_refunded_costs_again(today):
    _, job = _export(today, CONTACTS)
    _refund(today, job.id, "phone:p1")
    assert job_runs.balance(today).available == 500 - ALL_FOUND + 2

    stored = job_runs.quote(today, CONTACTS)
    assert {
        line.item: (line.count, line.free, line.credits) for line in stored.quote.lines
    } == {
        Item.COMPANY: (2, 2, 0),
        Item.EMAIL: (3, 3, 0),
        Item.PHONE: (3, 2, 2),
    }
    again = job_runs.run(today, submission.submit(today, stored.id))
    assert again.settled == 2
    assert job_runs.balance(today).available == 500 - ALL_FOUND


def test_a_job_quoted_free_stays_free_though_its_payer_is_refunded(today):
    _, payer = _export(today, ["c1/p1"])
    stored = job_runs.quote(today, ["c1/p1"])
    job_id = submission.submit(today, stored.id)
    for words in ("company:c1", "email:p1", "phone:p1"):
        _refund(today, payer.id, words)

    job = job_runs.run(today, job_id)
    assert (job.reserved, job.settled) == (0, 0)
    assert job_runs.balance(today).available == 500
    # A free use after the refund has renewed nothing.
    assert job_runs.quote(today, ["c1/p1"]).quote.max_credits == 4


def test_licenses_share_nothing(today):
    job_runs.create_license(today, "globex")
    _export(today, CONTACTS)
    stored = job_runs.quote(today, CONTACTS, license_id="globex")
    assert stored.quote.max_credits == ALL_FOUND


def test_what_is_free_on_a_charge_is_told_before_it_is_refunded(today):
    _, paid = _export(today, CONTACTS)
    quoted, submitted, ended = [job_runs.quote(today, ["c1/p2"]) for _ in range(3)]
    waiting = submission.submit(today, submitted.id)
    done = job_runs.run(today, submission.submit(today, ended.id))
    job_runs.quote(today, ["c2"])
    with today.database.transaction() as connection:
        payer = charge_of(connection, paid.id, "company:c1")
        free = refunds.free_on(connection, [payer])
        line = charge_of(connection, done.id, "company:c1")
    assert free == refunds.FreeOn([line], [quoted.id], [waiting])
