"""Balance alerts: each threshold is told once a period, whoever looks."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from storage.finance.balances import balance_alerts
from storage.finance.balances.balance_alerts import Alert, AlertKind
from storage.ledger import grants, periods
from storage.licenses import notifications
from tests.support.business_time import DAY_S, shift_to
from tests.support.stored_jobs import (
    charge_of,
    end_job,
    make_job,
    make_license,
    refund,
    settle,
)

_HALF, _MOST = Alert(AlertKind.USED_PERCENT, 50), Alert(AlertKind.USED_PERCENT, 80)
_FEW = Alert(AlertKind.CREDITS_LEFT, 30)


@pytest.fixture
def watched(database):
    """A license of a hundred credits with thresholds, and one without."""
    with database.transaction() as connection:
        make_license(connection, credits_granted=100)
        make_license(connection, "globex", credits_granted=1)
        balance_alerts.replace(connection, "acme", [_HALF, _MOST, _FEW])
    return database


def _use(database, job: str, count: int, *, reserved: int | None = None) -> None:
    with database.transaction() as connection:
        make_job(connection, job, reserved or count)
        settle(connection, job, *(f"company:{job}-{n}=1" for n in range(count)))
        if reserved is None:
            end_job(connection, job)


def _told(database) -> int:
    with database.transaction() as connection:
        return balance_alerts.tell(connection)


def _events(database) -> list[tuple[str, int]]:
    with database.transaction() as connection:
        rows = connection.execute(
            text("""
                SELECT data ->> 'kind', (data ->> 'threshold')::int FROM events
                 WHERE type = 'balance.threshold' ORDER BY created_at, subject""")
        )
        return [tuple(row) for row in rows]


def test_a_threshold_is_told_when_it_is_reached_and_once(watched):
    _use(watched, "job-1", 49)
    assert _told(watched) == 0
    _use(watched, "job-2", 1)
    assert _told(watched) == 1
    assert _told(watched) == 0
    _use(watched, "job-3", 30)
    assert _told(watched) == 2
    assert sorted(_events(watched)) == [
        ("credits_left", 30),
        ("used_percent", 50),
        ("used_percent", 80),
    ]
    with watched.transaction() as connection:
        found = notifications.of_license(connection, "acme", before=None, limit=9)
    assert {(one.code, one.user_id) for one in found} == {("balance_threshold", None)}
    assert "80 % of the credits are used: 80 of 100, 20 are available" in {
        one.message for one in found
    }


def test_what_open_jobs_have_settled_is_used_and_what_they_hold_is_not_left(watched):
    _use(watched, "job-1", 10, reserved=70)
    assert _told(watched) == 1
    assert _events(watched) == [("credits_left", 30)]
    _use(watched, "job-2", 30, reserved=30)
    with watched.transaction() as connection:
        settle(connection, "job-1", *(f"company:x{n}=1" for n in range(10)))
    assert _told(watched) == 1
    assert ("used_percent", 50) in _events(watched)


def test_what_comes_back_lets_nothing_be_told_again(watched):
    _use(watched, "job-1", 50)
    assert _told(watched) == 1
    with watched.transaction() as connection:
        charge = charge_of(connection, "job-1", "company:job-1-0")
        refund(connection, charge, "a test")
        grants.grant(connection, "acme", 100, "more")
    assert _told(watched) == 0
    _use(watched, "job-2", 51)
    assert _told(watched) == 0
    with watched.transaction() as connection:
        balance_alerts.replace(connection, "acme", [])
        balance_alerts.replace(connection, "acme", [_HALF])
    assert _told(watched) == 0


def test_the_next_period_is_told_of_anew(watched):
    _use(watched, "job-1", 50)
    assert _told(watched) == 1
    shift_to(watched, 370 * DAY_S)
    assert _told(watched) == 0
    with watched.transaction() as connection:
        periods.open_current(connection, "acme")
    assert _told(watched) == 0
    _use(watched, "job-2", 50)
    assert _told(watched) == 1


def test_dispatchers_that_look_at_once_tell_once(watched):
    _use(watched, "job-1", 80)
    barrier = Barrier(8, timeout=60)

    def tell(_: int) -> int:
        barrier.wait()
        return _told(watched)

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(tell, range(8))) == 3
    assert len(_events(watched)) == 3


@pytest.mark.parametrize(
    "alert", [Alert(AlertKind.USED_PERCENT, 101), Alert(AlertKind.CREDITS_LEFT, -1)]
)
def test_a_threshold_that_can_never_be_is_refused(watched, alert):
    with (
        pytest.raises(IntegrityError, match="threshold"),
        watched.transaction() as connection,
    ):
        balance_alerts.replace(connection, "acme", [alert])
