"""Locks are taken in one order, so that nobody waits in a circle."""

from concurrent.futures import ThreadPoolExecutor
from random import Random
from threading import Barrier

import pytest
from psycopg.errors import LockNotAvailable
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from storage.database import Database
from storage.errors import Conflict
from storage.refunds.refunds import RefundResult
from tests.support.stored_jobs import (
    charge_of,
    end_job,
    make_job,
    make_license,
    refund,
    settle,
)

_WAITING = text("""
SELECT count(*) FROM pg_stat_activity
 WHERE datname = current_database() AND wait_event_type = 'Lock'
""")


def _refund(database: Database, charge: int) -> RefundResult:
    with database.transaction() as connection:
        return refund(connection, charge, "a reason")


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
        refund(connection, charge, "a reason")
        kinds = connection.execute(text("SELECT kind FROM transfers ORDER BY id"))
        assert list(kinds.scalars())[-4:] == ["release", "expire", "refund", "expire"]


_CROSSING = 4
"""Batches at once, two of each job."""

_DIGESTS = ("~/own", "~own", "")
"""Whom the directory knows is claimed under both, whom it does not under its own."""


def _claims(random: Random, number: int) -> list[str]:
    """Some of what all claim in this round: in any order, new, of before, by either."""
    by = random.choice(_DIGESTS)
    new = [f"email:p{number}-{place}{by}=1" for place in range(6)]
    new += [f"phone:p{number}-{place}{random.choice(_DIGESTS)}=2" for place in range(4)]
    before = [
        f"email:p{number - back}-{place}{by}=1" for back in (1, 2) for place in (0, 5)
    ]
    shared = [f"company:c{number // 2}-{place}=1" for place in range(3)]
    known = [f"email:k{number}-{place}~/own=1" for place in range(2)]
    unknown = [f"email:k{number}-{place}~own=1" for place in range(2)]
    some = [claim for claim in new if random.random() < 0.8]
    for others in (before, shared, known, unknown):
        some += random.sample(others, random.choice((0, 0, 1, 2)))
    random.shuffle(some)
    return some


def _settle_crosswise(database: Database, rounds: int) -> int:
    """Settle batches of two jobs at the same moments; how often one had to repeat."""
    with database.transaction() as connection:
        make_license(connection, credits_granted=10_000_000)
        for job_id in ("job-0", "job-1"):
            make_job(connection, job_id, 5_000_000)
    barrier = Barrier(_CROSSING, timeout=60)

    def settle_all(place: int) -> int:
        random, repeated = Random(place), 0
        for number in range(rounds):
            claims = _claims(random, number)
            barrier.wait()
            while True:
                try:
                    with database.transaction() as connection:
                        settle(connection, f"job-{place % 2}", *claims)
                except Conflict:
                    repeated += 1
                    continue
                break
        return repeated

    with ThreadPoolExecutor(_CROSSING) as threads:
        return sum(threads.map(settle_all, range(_CROSSING)))


def _deadlocks(database: Database) -> int:
    with database.transaction() as connection:
        counted: int = connection.execute(
            text("""
                SELECT deadlocks FROM pg_stat_database
                 WHERE datname = current_database()""")
        ).scalar_one()
    return counted


@pytest.mark.parametrize(
    "rounds", [150, pytest.param(5_000, marks=pytest.mark.full)], ids=["some", "many"]
)
def test_two_jobs_that_settle_the_same_crosswise_never_wait_in_a_circle(
    database, rounds
):
    # The audit at the end finds what was paid for twice.
    assert _settle_crosswise(database, rounds) > 0
    assert _deadlocks(database) == 0
