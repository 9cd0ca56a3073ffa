"""Charges, and giving them back."""

from typing import Annotated, NamedTuple

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from sqlalchemy import Connection

from storage.access_scopes import Scope
from storage.finance.warehouse.ledger_rows import Dataset
from storage.ledger import charges
from storage.refunds import refunds
from worker.api import cursors, models
from worker.api.access_control import (
    CheckedRoute,
    Whose,
    acting_of,
    allow,
    seen_license,
)
from worker.api.context import ApiContext, context_of
from worker.api.idempotency_keys import made_by, once_of
from worker.api.routes.finance import warehouse
from worker.finance.period_names import starts_of
from worker.infrastructure.errors import Code, Refused, bad
from worker.refunds import credit_notes
from worker.refunds.credit_notes import Asked
from worker.responses import credit_responses
from worker.responses.response import Answer

router = APIRouter(route_class=CheckedRoute, tags=["charges"])

_BIGINT_MAX = (1 << 63) - 1

ChargeId = Annotated[int, Path(ge=1, le=_BIGINT_MAX, description="The charge's id.")]


def _owner(connection: Connection, named: str) -> str | None:
    if not named.isascii() or not named.isdigit() or int(named) > _BIGINT_MAX:
        return None
    found = charges.get(connection, int(named))
    return found.license_id if found else None


_OF_IT = Whose("charge", _owner)


class _Filters(NamedTuple):
    """What a list of charges may be of, besides license and period."""

    item: models.Item | None
    user: str | None
    job: str | None
    views: bool | None


def _filters(
    item: models.Item | None = None,
    user: Annotated[models.ClientId | None, Query()] = None,
    job: Annotated[models.ClientId | None, Query()] = None,
    views: Annotated[
        bool | None, Query(description="Of views alone, or of jobs alone.")
    ] = None,
) -> _Filters:
    if job is not None and views:
        raise bad("views", "have no job: leave out one of both")
    return _Filters(item, user, job, views)


@router.get(
    "/charges", response_model=models.Page[models.Charge], responses=warehouse.FILES
)
@allow(Scope.FINANCE)
def list_charges(
    request: Request,
    filters: Annotated[_Filters, Depends(_filters)],
    license: warehouse.License = None,
    period: warehouse.Period = None,
    format: warehouse.Format = models.RowFormat.JSON,
    limit: cursors.Limit = cursors.LIMIT,
    cursor: cursors.Cursor = None,
) -> Answer | Response:
    """List charges in the order in which they were made."""
    if format is not models.RowFormat.JSON:
        for name, given in filters._asdict().items():
            if given is not None:
                raise bad(name, "a file has those of a whole period: leave it out")
        return warehouse.rows_file(request, Dataset.CHARGES, format, license, period)
    starts = None if period is None else starts_of(period)
    wanted = charges.Wanted(
        license_id=seen_license(request, license),
        item=filters.item,
        user_id=filters.user,
        job_id=filters.job,
        views=filters.views,
        period_starts_since=starts and starts.since,
        period_starts_before=starts and starts.before,
    )
    after = cursors.decode_number(cursor, 0)
    with context_of(request).deps.database.transaction() as connection:
        found = charges.find(connection, wanted, after=after, limit=limit + 1)
    return cursors.page(found, limit, credit_responses.of_charge, lambda row: row.id)


@router.get("/charges/{charge}/refund", response_model=models.RefundPreview)
@allow(Scope.FINANCE, of=_OF_IT)
def preview_refund(request: Request, charge: ChargeId) -> Answer:
    """Say what a refund would give back, and what is free on this charge."""
    context = context_of(request)
    found = _charge(context, charge)
    with context.deps.database.transaction() as connection:
        free = refunds.free_on(connection, [charge])
    return {
        "credits": found.credits,
        "free_on_it": free.charges,
        "quotes": free.quotes,
        "jobs": free.jobs,
    }


@router.post("/charges/{charge}/refund", status_code=201, response_model=models.Refund)
@allow(Scope.FINANCE, of=_OF_IT)
def refund(request: Request, charge: ChargeId, body: models.RefundBody) -> Answer:
    """Give a charge back, once and in full, by a credit note of its own.

    Above the set amount it waits for a second person: `state` is `awaiting_approval`.
    """
    deps, made = context_of(request).deps, made_by(request)
    if made is None:
        shown = credit_notes.make(
            deps,
            Asked([charge]),
            body.reason,
            acting_of(request, None),
            once=once_of(request),
        )
    else:
        shown = credit_notes.show(deps, int(made))
    return {
        "charge": charge,
        "credits": shown.note.credits,
        "reason": body.reason,
        "refund": shown.note.id,
        "number": shown.note.number,
        "state": shown.note.state.value,
    }


def _charge(context: ApiContext, charge_id: int) -> charges.Charge:
    with context.deps.database.transaction() as connection:
        found = charges.get(connection, charge_id)
    if found is None:
        raise Refused(Code.NOT_FOUND, f"there is no charge {charge_id}")
    return found
