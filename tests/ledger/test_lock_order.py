"""Locks are taken in one order, so that nobody waits in a circle."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from psycopg.errors import LockNotAvailable
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from storage.database import Database
from storage.ledger import refunds
from storage.ledger.refunds import RefundResult
from tests.support.stored_jobs import charge_of, end_job, make_job, make_license, settle

_WAITING = text("""
SELECT count(*) FROM pg_stat_activity
 WHERE datname = current_database() AND wait_event_type = 'Lock'
""")


def _refund(database: Database, charge: int) -> RefundResult:
    with database.transaction() as connection:
        return refunds.refund(connection, charge, "a reason")


def _wait_until_somebody_waits(database: Database) -> None:
    while True:
        with database.transaction() as connection:
            if connection.execute(_WAITING).scalar_one():
                return


def test_a_refund_holds_the_entitlement_before_it_asks_for_the_period(database):
    with database.transaction() as connection:
        make_license(connection)
        make_job(connection, "job-1", 1)
        settle(connection, "job-1", "company:c1=1")
        end_job(connection, "job-1")
        charge = charge_of(connection, "job-1", "company:c1")
    with ThreadPoolExecutor(2) as threads:
        with database.transaction() as holder:
            # As every update of the period's counters locks it.
            holder.execute(text("SELECT 1 FROM periods FOR NO KEY UPDATE"))
            refunded = threads.submit(_refund, database, charge)
            threads.submit(_wait_until_somebody_waits, database).result(timeout=30)
            with pytest.raises(OperationalError) as refused:
                threads.submit(_grab_entitlement, database).result(timeout=30)
        assert isinstance(refused.value.orig, LockNotAvailable)
        assert refunded.result(timeout=30) is RefundResult.REFUNDED


def _grab_entitlement(database: Database) -> None:
    with database.transaction() as connection:
        connection.execute(text("SELECT 1 FROM entitlements FOR UPDATE NOWAIT"))


def test_what_expires_after_a_release_is_written_after_it(database):
    with database.transaction() as connection:
        make_license(connection)
        make_job(connection, "job-1", 60)
        settle(connection, "job-1", "company:c1=1")
        connection.execute(
            text("""
                UPDATE periods SET ended_at = ends_at,
                       expired = granted - reserved - spent"""),
        )
        connection.execute(
            text("""
                INSERT INTO transfers (license_id, period_id, kind, from_account,
                                       to_account, credits)
                SELECT license_id, id, 'expire', 'available', 'expired', expired
                  FROM periods"""),
        )
        end_job(connection, "job-1")
        charge = charge_of(connection, "job-1", "company:c1")
        refunds.refund(connection, charge, "a reason")
        kinds = connection.execute(text("SELECT kind FROM transfers ORDER BY id"))
        assert list(kinds.scalars())[-4:] == ["release", "expire", "refund", "expire"]
