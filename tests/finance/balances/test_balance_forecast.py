"""The forecast: the rate of use, and where it leads."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from storage.finance.balances import usage_rate
from storage.finance.balances.usage_rate import UsageRate
from storage.ledger.balances import Balance
from tests.support.business_time import DAY_S, shift_to
from tests.support.stored_jobs import (
    charge_of,
    end_job,
    make_job,
    make_license,
    refund,
    settle,
)
from worker.finance.balances.balance_forecast import forecast

_START = datetime(2026, 3, 1, tzinfo=UTC)
_DAY = timedelta(days=1)


def _balance(available: int) -> Balance:
    return Balance(
        starts_at=_START,
        ends_at=_START + 31 * _DAY,
        granted=1_000,
        reserved=0,
        spent=1_000 - available,
        expired=0,
    )


def _rate(credits_: int, *, days: float = 7, day: int = 10) -> UsageRate:
    now = _START + day * _DAY
    return UsageRate(since=now - days * _DAY, now=now, credits=credits_)


def test_credits_run_out_when_the_rate_says_so():
    found = forecast(_balance(200), _rate(140))
    assert found.used_per_day == Decimal("20.00")
    assert found.runs_out_at == _START + 20 * _DAY
    assert found.left_at_end == 0


def test_credits_that_last_to_the_end_run_out_never_and_expire():
    found = forecast(_balance(430), _rate(140))
    assert (found.runs_out_at, found.left_at_end) == (None, 10)
    # To the credit: 21 days at 20 a day are 420.
    assert forecast(_balance(420), _rate(140)).runs_out_at is None
    assert forecast(_balance(419), _rate(140)).runs_out_at is not None


def test_who_uses_nothing_runs_out_of_nothing():
    found = forecast(_balance(7), _rate(0))
    assert (found.runs_out_at, found.left_at_end) == (None, 7)
    assert found.used_per_day == 0


def test_who_has_nothing_left_has_run_out_now():
    rate = _rate(140)
    assert forecast(_balance(0), rate).runs_out_at == rate.now


def test_a_license_of_an_hour_has_not_used_so_much_every_hour():
    found = forecast(_balance(900), _rate(100, days=1 / 24))
    assert found.used_per_day == 100


def test_what_was_used_is_what_was_charged_of_late_less_refunds(database):
    with database.transaction() as connection:
        make_license(connection, credits_granted=500)
        make_job(connection, "old", 5)
        settle(connection, "old", *(f"company:o{n}=1" for n in range(5)))
        end_job(connection, "old")
    shift_to(database, 8 * DAY_S)
    with database.transaction() as connection:
        make_job(connection, "new", 4)
        settle(connection, "new", *(f"company:n{n}=1" for n in range(4)))
        end_job(connection, "new")
        refund(connection, charge_of(connection, "new", "company:n0"), "a test")
        found = {
            days: usage_rate.of_license(connection, "acme", days=days)
            for days in (7, 30)
        }
    assert (found[7].credits, found[30].credits) == (3, 8)
    assert found[7].now - found[7].since == 7 * _DAY
    age = found[30].now - found[30].since
    assert 8 * _DAY <= age < 9 * _DAY
