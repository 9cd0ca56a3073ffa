"""A subject that comes back in a later batch of its job: it has its line already."""

import pytest
from sqlalchemy import text

from storage import refunds
from storage.errors import Superseded
from storage.refunds import RefundResult
from tests.database.making import charge_of, end_job, make_job, make_license, settle


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
        result = refunds.refund(connection, charge, "between two batches")
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


def test_a_company_unchanged_first_and_changed_later_does_not_stop_its_job(two_jobs):
    with two_jobs.transaction() as connection:
        assert settle(connection, "job-2", "company:c2=unchanged") == 0
    with two_jobs.transaction() as connection:
        settle(connection, "job-2", "company:c2=1")


def test_a_company_changed_first_and_unchanged_later_keeps_its_line(two_jobs):
    with two_jobs.transaction() as connection:
        assert settle(connection, "job-2", "company:c2=1") == 1
    with two_jobs.transaction() as connection:
        assert settle(connection, "job-2", "company:c2=unchanged") == 0
        rules = connection.execute(
            text("SELECT rule FROM charges WHERE job_id = 'job-2'")
        ).scalars()
        assert list(rules) == ["price"]


def test_an_empty_batch_costs_nothing_and_still_sees_that_the_job_is_closed(two_jobs):
    with two_jobs.transaction() as connection:
        assert settle(connection, "job-2") == 0
    with two_jobs.transaction() as connection, pytest.raises(Superseded):
        settle(connection, "job-1")
