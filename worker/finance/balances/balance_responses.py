"""Forecasts and alerts as clients see them."""

from collections.abc import Sequence

from storage.finance.balances.balance_alerts import Alert, AlertKind
from storage.finance.balances.license_overview import JobCredits
from worker.finance.balances.balance_forecast import Forecast
from worker.finance.balances.license_overview import Overview
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


def of_overview(overview: Overview) -> Answer:
    """A period of a license as its own admin sees it."""
    credits_ = overview.credits
    return {
        "license": overview.license_id,
        "name": overview.name,
        "period": {
            "starts_at": instant(credits_.starts_at),
            "ends_at": instant(credits_.ends_at),
        },
        "granted": credits_.granted,
        "used": credits_.used,
        "reserved": credits_.reserved,
        "expired": credits_.expired,
        "remaining": credits_.remaining,
        "by_user": [
            {"user": one.key, "credits": one.credits, "count": one.count}
            for one in overview.by_user
        ],
        "by_kind": [
            {"kind": one.key, "credits": one.credits, "count": one.count}
            for one in overview.by_kind
        ],
    }


def of_job_credits(job: JobCredits) -> Answer:
    """A job with the credits that it used."""
    return {
        "job": job.id,
        "kind": job.kind,
        "name": job.name,
        "user": job.user_id,
        "state": job.state,
        "created_at": instant(job.created_at),
        "reserved": job.reserved,
        "credits": job.credits,
    }
