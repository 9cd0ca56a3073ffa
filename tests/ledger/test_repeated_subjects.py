"""A subject that comes back in a later batch of its job: it has its line already."""

import pytest
from sqlalchemy import text

from storage.errors import Superseded
from storage.refunds.refunds import RefundResult
from tests.support.stored_jobs import (
    charge_of,
    end_job,
    make_job,
    make_license,
    refund,
    settle,
)


@pytest.fixture
def two_jobs(database):
    """Two jobs quoted the same company; the first has paid for it and ended."""
    with database.transaction() as connection:
        make_license(connection)
        make_job(connection, "job-1", 1)
        make_job(connection, "job-2", 2)
        settle(connection, "job-1", "company:c1=1")
        end_job(connection, "job-1")
    yield database
    with database.transaction() as connection:
        end_job(connection, "job-2")


def _refund(database) -> None:
    with database.transaction() as connection:
        charge = charge_of(connection, "job-1", "company:c1")
        result = refund(connection, charge, "between two batches")
    assert result is RefundResult.REFUNDED


def test_what_was_free_in_a_job_stays_free_in_its_next_batch_after_a_refund(two_jobs):
    with two_jobs.transaction() as connection:
        assert settle(connection, "job-2", "company:c1=1") == 0
    _refund(two_jobs)
    with two_jobs.transaction() as connection:
        assert settle(connection, "job-2", "company:c1=1", "company:c2=1") == 1


def test_a_batch_that_is_late_after_close_and_refund_is_superseded(two_jobs):
    _refund(two_jobs)
    with two_jobs.transaction() as connection, pytest.raises(Superseded):
        settle(connection, "job-1", "company:c1=1")


def test_a_company_unchanged_in_one_batch_and_changed_in_a_later_one_is_paid_for(
    two_jobs,
):
    with two_jobs.transaction() as connection:
        assert settle(connection, "job-2", "company:c2=unchanged") == 0
    with two_jobs.transaction() as connection:
        assert settle(connection, "job-2", "company:c2=1") == 1
        end_job(connection, "job-2")
        assert _rules(connection) == ["price"]


def test_a_company_that_no_batch_has_changed_has_its_line_once_the_job_has_ended(
    two_jobs,
):
    with two_jobs.transaction() as connection:
        for _ in range(2):
            assert settle(connection, "job-2", "company:c2=unchanged") == 0
        assert _rules(connection) == []
        end_job(connection, "job-2")
        assert _rules(connection) == ["unchanged"]


def test_a_company_changed_first_and_unchanged_later_keeps_its_line(two_jobs):
    with two_jobs.transaction() as connection:
        assert settle(connection, "job-2", "company:c2=1") == 1
    with two_jobs.transaction() as connection:
        assert settle(connection, "job-2", "company:c2=unchanged") == 0
        end_job(connection, "job-2")
        assert _rules(connection) == ["price"]


def _rules(connection) -> list[str]:
    return list(
        connection.execute(
            text("SELECT rule FROM charges WHERE job_id = 'job-2'")
        ).scalars()
    )


def test_an_empty_batch_costs_nothing_and_still_sees_that_the_job_is_closed(two_jobs):
    with two_jobs.transaction() as connection:
        assert settle(connection, "job-2") == 0
    with two_jobs.transaction() as connection, pytest.raises(Superseded):
        settle(connection, "job-1")


def test_a_known_person_at_another_company_of_the_job_has_one_line_and_its_entitlements(
    two_jobs,
):
    with two_jobs.transaction() as connection:
        assert settle(connection, "job-2", "email:p1~/ours=1") == 1
    with two_jobs.transaction() as connection:
        assert settle(connection, "job-2", "email:p1~/theirs=1") == 0
    # The audit at the end holds each entitlement to the lines that made it.
    with two_jobs.transaction() as connection:
        held = connection.execute(
            text("SELECT digest FROM entitlements WHERE item = 'email'")
        )
        assert set(held.scalars()) == {"", "ours"}
