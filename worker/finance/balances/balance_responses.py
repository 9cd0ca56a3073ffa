"""Forecasts and alerts as clients see them."""

from collections.abc import Sequence

from storage.finance.balances.balance_alerts import Alert, AlertKind
from worker.finance.balances.balance_forecast import Forecast
from worker.infrastructure.clock import instant
from worker.responses.response import Answer


def of_alerts(license_id: str, alerts: Sequence[Alert]) -> Answer:
    """The thresholds of a license."""
    return {"license": license_id} | {
        kind.value: [alert.threshold for alert in alerts if alert.kind is kind]
        for kind in AlertKind
    }


def of_forecast(license_id: str, forecast: Forecast) -> Answer:
    """Where the rate of use leads."""
    balance = forecast.balance
    return {
        "license": license_id,
        "period": {
            "starts_at": instant(balance.starts_at),
            "ends_at": instant(balance.ends_at),
        },
        "granted": balance.granted,
        "reserved": balance.reserved,
        "spent": balance.spent,
        "available": balance.available,
        "since": instant(forecast.since),
        "used": forecast.used,
        "used_per_day": float(forecast.used_per_day),
        "runs_out_at": instant(forecast.runs_out_at),
        "left_at_end": forecast.left_at_end,
    }
