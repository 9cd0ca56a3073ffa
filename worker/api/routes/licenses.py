"""Licenses: their users, periods, credits, usage, views and notifications."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from pricing.permission import Role
from pricing.plans import PaymentTerm, Plan
from storage.access_scopes import Scope
from storage.ledger import periods, usage
from storage.ledger.company_views import Booked
from storage.licenses import licenses as kept_licenses
from storage.licenses import notifications
from storage.licenses.api_keys import Key
from storage.licenses.licenses import CreateResult
from worker.api import cursors, models
from worker.api.access_control import (
    CheckedRoute,
    Whose,
    acting_of,
    allow,
    caller_of,
    license_itself,
    seen_license,
)
from worker.api.context import context_of
from worker.api.idempotency_keys import made_by, once_of
from worker.finance.period_names import starts_of
from worker.infrastructure import clock
from worker.infrastructure.errors import Code, Refused, bad
from worker.ledger import balances, company_views
from worker.licenses import licenses
from worker.operations import turn_order
from worker.responses import credit_responses, license_responses
from worker.responses.response import Answer
from worker.uploads.derived_ids import check_own

router = APIRouter(route_class=CheckedRoute, tags=["licenses"])

LicenseId = Annotated[models.ClientId, Path(description="The license's id.")]

_OF_IT = Whose("license", license_itself)


@router.post(
    "/licenses",
    status_code=201,
    response_model=models.License,
    responses={200: {"description": "It was there", "model": models.License}},
)
@allow(body=(Whose("id", license_itself),))
def create_license(
    request: Request, response: Response, body: models.NewLicense
) -> Answer:
    """Create a license, once; the same again is answered with 200."""
    deps = context_of(request).deps
    wanted = licenses.NewLicense(
        id=body.id,
        name=body.name,
        plan=Plan(body.plan),
        payment_term=PaymentTerm(body.payment_term),
        credits=body.credits,
        features=frozenset(body.features),
        starts_at=body.starts_at,
    )
    if licenses.create_license(deps, wanted) is CreateResult.EXISTS:
        response.status_code = 200
    return _license(request, body.id)


@router.get("/licenses", response_model=models.Page[models.License])
@allow()
def list_licenses(
    request: Request,
    limit: cursors.Limit = cursors.LIMIT,
    cursor: cursors.Cursor = None,
) -> Answer:
    """List licenses by id; a bound key sees its own."""
    own = seen_license(request, None)
    if own is not None:
        return {"items": [_license(request, own)], "next": None}
    after = cursors.decode(cursor) if cursor else ""
    with context_of(request).deps.database.transaction() as connection:
        found = kept_licenses.every(connection, after=after, limit=limit + 1)
    return cursors.page(found, limit, license_responses.of_license, lambda row: row.id)


@router.get("/licenses/{license}", response_model=models.License)
@allow(of=_OF_IT)
def get_license(request: Request, license: LicenseId) -> Answer:
    """Show a license."""
    return _license(request, license)


def _license(request: Request, license_id: str) -> Answer:
    with context_of(request).deps.database.transaction() as connection:
        found = kept_licenses.get(connection, license_id)
    if found is None:
        raise Refused(Code.NOT_FOUND, f"there is no license {license_id}")
    return license_responses.of_license(found)


@router.patch("/licenses/{license}", response_model=models.License)
@allow(of=_OF_IT)
def change_license(
    request: Request,
    license: LicenseId,
    body: models.LicenseChange,
) -> Answer:
    """Change plan and term for new quotes, credits from the next period."""
    change = kept_licenses.Change(
        plan=Plan(body.plan) if body.plan else None,
        payment_term=PaymentTerm(body.payment_term) if body.payment_term else None,
        credits=body.credits,
        features=None if body.features is None else frozenset(body.features),
    )
    changed = licenses.change_license(context_of(request).deps, license, change)
    return license_responses.of_license(changed)


@router.put("/licenses/{license}/weight", response_model=models.License)
@allow(Scope.OPERATOR, of=_OF_IT)
def set_weight(request: Request, license: LicenseId, body: models.NewWeight) -> Answer:
    """Let a license's chunks have so many times the share of others'."""
    if caller_of(request).license_id is not None:
        raise Refused(Code.FORBIDDEN, "what licenses weigh is the house's")
    deps = context_of(request).deps
    turn_order.set_weight(
        deps, license, Decimal(str(body.weight)), acting_of(request, body)
    )
    return _license(request, license)


@router.put("/licenses/{license}/users/{user}", response_model=models.User)
@allow(of=_OF_IT)
def put_user(
    request: Request,
    license: LicenseId,
    user: models.ClientId,
    body: models.UserPermission,
) -> Answer:
    """Say who a user is, and whether it may use credits."""
    named = kept_licenses.User(
        id=user, role=Role(body.role), credits_allowed=body.credits_allowed
    )
    licenses.put_user(context_of(request).deps, license, named)
    return license_responses.of_user(named)


@router.get("/licenses/{license}/users", response_model=models.Page[models.User])
@allow(of=_OF_IT)
def list_users(
    request: Request,
    license: LicenseId,
    limit: cursors.Limit = cursors.LIMIT,
    cursor: cursors.Cursor = None,
) -> Answer:
    """List the users that were named."""
    _license(request, license)
    after = cursors.decode(cursor) if cursor else ""
    with context_of(request).deps.database.transaction() as connection:
        found = kept_licenses.users_of(
            connection, license, after=after, limit=limit + 1
        )
    return cursors.page(found, limit, license_responses.of_user, lambda row: row.id)


@router.get("/licenses/{license}/balance", response_model=models.Balance)
@allow(Scope.PRODUCER, Scope.FINANCE, of=_OF_IT)
def get_balance(request: Request, license: LicenseId) -> Answer:
    """Show the running period's credits."""
    return credit_responses.of_balance(
        balances.balance_of(context_of(request).deps, license)
    )


@router.get("/licenses/{license}/periods", response_model=models.Page[models.Period])
@allow(Scope.FINANCE, of=_OF_IT)
def list_periods(
    request: Request,
    license: LicenseId,
    limit: cursors.Limit = cursors.LIMIT,
    cursor: cursors.Cursor = None,
) -> Answer:
    """List the periods, the newest first."""
    deps = context_of(request).deps
    licenses.open_license(deps, license)
    before = _instant(cursors.decode(cursor)) if cursor else None
    with deps.database.transaction() as connection:
        found = periods.of_license(connection, license, before=before, limit=limit + 1)
    return cursors.page(
        found, limit, license_responses.of_period, lambda row: row.starts_at.isoformat()
    )


def _instant(given: str) -> datetime:
    try:
        return datetime.fromisoformat(given)
    except ValueError as error:
        raise bad("cursor", "is no cursor of this list") from error


@router.post(
    "/licenses/{license}/top-ups", status_code=201, response_model=models.ToppedUp
)
@allow(of=_OF_IT)
def top_up(
    request: Request,
    license: LicenseId,
    body: models.TopUp,
) -> Answer:
    """Add credits to the running period, once for each reference.

    They expire with it, as all its credits do.
    """
    deps = context_of(request).deps
    balances.top_up(deps, license, body.credits, body.reference)
    balance = credit_responses.of_balance(balances.balance_of(deps, license))
    return balance | {"expires_at": balance["period"]["ends_at"]}


@router.get("/licenses/{license}/usage", response_model=models.Usage)
@allow(Scope.FINANCE, of=_OF_IT, bound=(Scope.PRODUCER,))
def get_usage(
    request: Request,
    license: LicenseId,
    by: usage.UsageBy,
    period: Annotated[
        models.PeriodName | None,
        Query(description="Its starts_at or that month; by default the running one."),
    ] = None,
) -> Answer:
    """Show what a period's credits went to, by user, job, item or day.

    A producer's key sees it by user, and only where it is bound to the license.
    """
    _check_producer(caller_of(request), by)
    deps = context_of(request).deps
    balance = balances.balance_of(deps, license)
    starts = starts_of(period or balance.starts_at.isoformat())
    with deps.database.transaction() as connection:
        found = usage.period(connection, license, *starts)
        items = usage.of_period(connection, license, found.id, by) if found else []
    # Before its license starts the default is a period that nobody has opened.
    shown = found or (None if period else balance)
    if shown is None:
        raise Refused(Code.NOT_FOUND, "there is no such period")
    return {
        "period": {
            "starts_at": clock.instant(shown.starts_at),
            "ends_at": clock.instant(shown.ends_at),
        },
        "items": [
            {"key": item.key, "credits": item.credits, "count": item.count}
            for item in items
        ],
    }


def _check_producer(caller: Key, by: usage.UsageBy) -> None:
    if caller.scope is Scope.PRODUCER and by is not usage.UsageBy.USER:
        raise Refused(Code.FORBIDDEN, "a producer's key sees usage by user alone")


@router.get("/licenses/{license}/views", response_model=models.View)
@allow(Scope.PRODUCER, of=_OF_IT)
def price_view(
    request: Request,
    license: LicenseId,
    company_id: Annotated[models.RecordId, Query(description="Of the company.")],
) -> Answer:
    """Say what viewing a company would cost just now; nothing is booked."""
    return _view(company_views.price(context_of(request).deps, license, company_id))


@router.post("/licenses/{license}/views", response_model=models.View)
@allow(Scope.PRODUCER, of=_OF_IT)
def view(
    request: Request,
    license: LicenseId,
    body: models.NewView,
) -> Answer:
    """View a company, charged at once where the plan has a price for it."""
    deps = context_of(request).deps
    made = made_by(request)
    booked = company_views.viewed(deps, license, made) if made else None
    if booked is None:
        check_own(deps, license, "company_id", body.company_id)
        booked = company_views.view(
            deps, license, body.user, body.company_id, once=once_of(request)
        )
    return _view(booked)


def _view(booked: Booked) -> Answer:
    because = booked.free_because
    return {"credits": booked.credits, "free_because": because and because.value}


@router.get(
    "/licenses/{license}/notifications",
    response_model=models.Page[models.Notification],
)
@allow(Scope.PRODUCER, of=_OF_IT)
def list_notifications(
    request: Request,
    license: LicenseId,
    limit: cursors.Limit = cursors.LIMIT,
    cursor: cursors.Cursor = None,
) -> Answer:
    """List what users were told, the newest first."""
    _license(request, license)
    before = cursors.decode_number(cursor, 0) or None
    with context_of(request).deps.database.transaction() as connection:
        found = notifications.of_license(
            connection, license, before=before, limit=limit + 1
        )
    return cursors.page(
        found, limit, license_responses.of_notification, lambda row: row.id
    )
