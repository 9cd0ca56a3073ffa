"""The forecast: when a license's credits run out, if they go on as of late."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

from storage.finance.balances import usage_rate
from storage.finance.balances.usage_rate import UsageRate
from storage.ledger.balances import Balance
from worker.infrastructure.dependencies import Deps
from worker.infrastructure.errors import bad
from worker.ledger import balances

DAYS, DAYS_MAX = 7, 90
_DAY_S = 24 * 3600
_CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """How fast credits went over the last days, and where that leads.

    `runs_out_at` is None where they last to the period's end, at which what is left
    expires: `left_at_end`.
    """

    balance: Balance
    since: datetime
    used: int
    used_per_day: Decimal
    runs_out_at: datetime | None
    left_at_end: int


def of_license(deps: Deps, license_id: str, *, days: int = DAYS) -> Forecast:
    """The forecast by the last `days`. Raises `Refused` where there is no license."""
    if not 1 <= days <= DAYS_MAX:
        raise bad("days", f"must be 1 to {DAYS_MAX}")
    balance = balances.balance_of(deps, license_id)
    with deps.database.transaction() as connection:
        rate = usage_rate.of_license(connection, license_id, days=days)
    return forecast(balance, rate)


def forecast(balance: Balance, rate: UsageRate) -> Forecast:
    """What follows from a balance and a rate of use."""
    # A license of an hour has not shown what it uses in a day.
    seen_s = max(_DAY_S, _whole_s(rate.now - rate.since))
    per_s = Fraction(rate.credits, seen_s)
    end_s = max(0, _whole_s(balance.ends_at - rate.now))
    runs_out_at = None
    if balance.available <= 0:
        runs_out_at = rate.now
    elif per_s and balance.available < per_s * end_s:
        lasts_s = int(balance.available / per_s)
        runs_out_at = rate.now + timedelta(seconds=lasts_s)
    per_day = Decimal(rate.credits) * _DAY_S / seen_s
    return Forecast(
        balance=balance,
        since=rate.since,
        used=rate.credits,
        used_per_day=per_day.quantize(_CENT, ROUND_HALF_UP),
        runs_out_at=runs_out_at,
        left_at_end=max(0, balance.available - int(per_s * end_s)),
    )


def _whole_s(span: timedelta) -> int:
    return int(span.total_seconds())
