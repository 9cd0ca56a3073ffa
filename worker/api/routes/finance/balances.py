"""Balances over time: the forecast, and alerts."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request

from storage.access_scopes import Scope
from storage.finance.balances.balance_alerts import Alert, AlertKind
from worker.api import models
from worker.api.access_control import CheckedRoute, Whose, allow, license_itself
from worker.api.context import context_of
from worker.api.models.finance import balances as bodies
from worker.finance.balances import balance_alerts, balance_forecast, balance_responses
from worker.responses.response import Answer

router = APIRouter(route_class=CheckedRoute, tags=["finance"])

LicenseId = Annotated[models.ClientId, Path(description="The license's id.")]

_OF_IT = Whose("license", license_itself)


@router.get("/licenses/{license}/forecast", response_model=bodies.Forecast)
@allow(Scope.PRODUCER, Scope.FINANCE, of=_OF_IT)
def get_forecast(
    request: Request,
    license: LicenseId,
    days: Annotated[
        int,
        Query(
            ge=1,
            le=balance_forecast.DAYS_MAX,
            description="By the use of so many last days.",
        ),
    ] = balance_forecast.DAYS,
) -> Answer:
    """Say when the credits run out, if they go on as of late."""
    deps = context_of(request).deps
    found = balance_forecast.of_license(deps, license, days=days)
    return balance_responses.of_forecast(license, found)


@router.get("/licenses/{license}/alerts", response_model=bodies.Alerts)
@allow(Scope.PRODUCER, Scope.FINANCE, of=_OF_IT)
def get_alerts(request: Request, license: LicenseId) -> Answer:
    """Show at which points the license is told of its balance."""
    found = balance_alerts.of_license(context_of(request).deps, license)
    return balance_responses.of_alerts(license, found)


@router.put("/licenses/{license}/alerts", response_model=bodies.Alerts)
@allow(Scope.FINANCE, of=_OF_IT)
def set_alerts(request: Request, license: LicenseId, body: bodies.NewAlerts) -> Answer:
    """Let the license be told at these points and no others, each once a period."""
    asked = {
        Alert(kind, threshold)
        for kind in AlertKind
        for threshold in getattr(body, kind.value)
    }
    found = balance_alerts.set_alerts(context_of(request).deps, license, asked)
    return balance_responses.of_alerts(license, found)


@router.delete("/licenses/{license}/alerts", response_model=bodies.Alerts)
@allow(Scope.FINANCE, of=_OF_IT)
def remove_alerts(request: Request, license: LicenseId) -> Answer:
    """Tell the license of its balance no more."""
    found = balance_alerts.set_alerts(context_of(request).deps, license, [])
    return balance_responses.of_alerts(license, found)
