"""Refunds: credit notes, previewed, made, approved and rejected."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from sqlalchemy import Connection

from storage.access_scopes import Scope
from storage.jobs import jobs
from storage.refunds import credit_note_reports
from storage.refunds.credit_note_reports import WantedNotes
from storage.refunds.credit_notes import NoteState
from worker.api import cursors, models
from worker.api.access_control import (
    CheckedRoute,
    Whose,
    acting_of,
    allow,
    caller_of,
    seen_license,
)
from worker.api.context import context_of
from worker.api.idempotency_keys import made_by, once_of
from worker.api.models.finance import refunds as bodies
from worker.refunds import credit_notes
from worker.refunds.credit_notes import Asked
from worker.responses import refund_responses
from worker.responses.response import Answer

router = APIRouter(route_class=CheckedRoute, tags=["refunds"])

_BIGINT_MAX = (1 << 63) - 1

RefundId = Annotated[int, Path(ge=1, le=_BIGINT_MAX, description="The refund's id.")]


def _owner(connection: Connection, named: str) -> str | None:
    if not named.isascii() or not named.isdigit() or int(named) > _BIGINT_MAX:
        return None
    return credit_note_reports.license_of(connection, int(named))


_OF_IT = Whose("refund", _owner)
_OF_JOB = Whose("job", jobs.license_of)


def _asked(body: bodies.WantedRefund) -> Asked:
    return Asked(body.charges or (), body.job)


@router.post("/refunds", status_code=201, response_model=bodies.ShownCreditNote)
@allow(Scope.FINANCE, body=(_OF_JOB,))
def make_refund(request: Request, body: bodies.NewRefund) -> Answer:
    """Give charges back, or all that a job has paid.

    Above the set amount it waits for a second person: `state` is `awaiting_approval`.
    """
    deps, made = context_of(request).deps, made_by(request)
    if made is not None:
        return refund_responses.of_shown(credit_notes.show(deps, int(made)))
    shown = credit_notes.make(
        deps,
        _asked(body),
        body.reason,
        acting_of(request, None),
        seen=caller_of(request).license_id,
        once=once_of(request),
    )
    return refund_responses.of_shown(shown)


@router.post("/refunds/preview", response_model=bodies.CreditNotePreview)
@allow(Scope.FINANCE, body=(_OF_JOB,))
def preview_refund(request: Request, body: bodies.WantedRefund) -> Answer:
    """Say what a refund would give back, and what is free on it; nothing is changed."""
    found = credit_notes.preview(
        context_of(request).deps,
        _asked(body),
        acting_of(request, None),
        seen=caller_of(request).license_id,
    )
    return refund_responses.of_preview(found)


@router.get("/refunds", response_model=models.Page[bodies.CreditNote])
@allow(Scope.FINANCE)
def list_refunds(
    request: Request,
    license: Annotated[models.ClientId | None, Query()] = None,
    period: Annotated[
        models.Instant | None,
        Query(description="The starts_at of a period that it gives credits back to."),
    ] = None,
    state: Annotated[bodies.NoteState | None, Query()] = None,
    job: Annotated[models.ClientId | None, Query()] = None,
    limit: cursors.Limit = cursors.LIMIT,
    cursor: cursors.Cursor = None,
) -> Answer:
    """List refunds, the newest first."""
    wanted = WantedNotes(
        license_id=seen_license(request, license),
        period_starts_at=period,
        state=NoteState(state) if state else None,
        job_id=job,
        before=cursors.decode_number(cursor, _BIGINT_MAX),
    )
    with context_of(request).deps.database.transaction() as connection:
        found = credit_note_reports.find(connection, wanted, limit=limit + 1)
    return cursors.page(found, limit, refund_responses.of_note, lambda row: row.id)


@router.get("/refunds/{refund}", response_model=bodies.ShownCreditNote)
@allow(Scope.FINANCE, of=_OF_IT)
def show_refund(request: Request, refund: RefundId) -> Answer:
    """Show a refund."""
    shown = credit_notes.show(context_of(request).deps, refund)
    return refund_responses.of_shown(shown)


@router.get(
    "/refunds/{refund}/charges", response_model=models.Page[bodies.CreditNoteCharge]
)
@allow(Scope.FINANCE, of=_OF_IT)
def list_charges_of_refund(
    request: Request,
    refund: RefundId,
    limit: cursors.Limit = cursors.LIMIT,
    cursor: cursors.Cursor = None,
) -> Answer:
    """List the charges that a refund is about, in the order of their ids."""
    deps = context_of(request).deps
    credit_notes.show(deps, refund)
    after = cursors.decode_number(cursor, 0)
    with deps.database.transaction() as connection:
        found = credit_note_reports.charges(
            connection, refund, after=after, limit=limit + 1
        )
    return cursors.page(
        found, limit, refund_responses.of_charge, lambda row: row.charge_id
    )


@router.post("/refunds/{refund}/approve", response_model=bodies.ShownCreditNote)
@allow(Scope.FINANCE, of=_OF_IT)
def approve_refund(request: Request, refund: RefundId) -> Answer:
    """Book a refund that waits, by a key that names another person than its author.

    Its charges are looked at again: `already_refunded` names what is left out.
    """
    shown = credit_notes.approve(
        context_of(request).deps, refund, acting_of(request, None)
    )
    return refund_responses.of_shown(shown)


@router.post("/refunds/{refund}/reject", response_model=bodies.ShownCreditNote)
@allow(Scope.FINANCE, of=_OF_IT)
def reject_refund(
    request: Request, refund: RefundId, body: bodies.RejectedRefund
) -> Answer:
    """End a refund that waits; nothing is given back."""
    shown = credit_notes.reject(
        context_of(request).deps, refund, body.reason, acting_of(request, None)
    )
    return refund_responses.of_shown(shown)
