"""Reconciliations: asking for one, and what it found."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from sqlalchemy import Connection

from storage.access_scopes import Scope
from storage.finance.reconciliation import runs
from worker.api import cursors, models
from worker.api.access_control import (
    CheckedRoute,
    Whose,
    allow,
    license_itself,
    seen_license,
)
from worker.api.context import context_of
from worker.api.idempotency_keys import made_by, once_of
from worker.finance.reconciliation import reconciliations
from worker.responses import reconciliation_responses
from worker.responses.response import Answer

router = APIRouter(route_class=CheckedRoute, tags=["finance"])

_BIGINT_MAX = (1 << 63) - 1

RunId = Annotated[
    int, Path(ge=1, le=_BIGINT_MAX, description="The reconciliation's id.")
]


def _owner(connection: Connection, named: str) -> str | None:
    """Whose it is; one of all licenses is nobody's, and shut for a bound key."""
    if not named.isascii() or not named.isdigit() or int(named) > _BIGINT_MAX:
        return None
    found = runs.get(connection, int(named))
    return found.license_id if found else None


_OF_IT = Whose("reconciliation", _owner)


@router.post("/reconciliations", status_code=202, response_model=models.Reconciliation)
@allow(Scope.FINANCE, body=(Whose("license", license_itself),))
def ask_reconciliation(request: Request, body: models.NewReconciliation) -> Answer:
    """Let a period be reconciled, of one license or of all."""
    deps = context_of(request).deps
    license_id = seen_license(request, body.license)
    made = made_by(request)
    if made is not None:
        return reconciliation_responses.of_run(
            reconciliations.show(deps, int(made), limit=1).run
        )
    run = reconciliations.put(deps, body.period, license_id, once=once_of(request))
    return reconciliation_responses.of_run(run)


@router.get("/reconciliations", response_model=models.Page[models.Reconciliation])
@allow(Scope.FINANCE)
def list_reconciliations(
    request: Request,
    license: Annotated[models.ClientId | None, Query()] = None,
    limit: cursors.Limit = cursors.LIMIT,
    cursor: cursors.Cursor = None,
) -> Answer:
    """List reconciliations, the newest first."""
    before = cursors.decode_number(cursor, _BIGINT_MAX)
    with context_of(request).deps.database.transaction() as connection:
        found = runs.newest(
            connection,
            license_id=seen_license(request, license),
            before=before,
            limit=limit + 1,
        )
    return cursors.page(
        found, limit, reconciliation_responses.of_run, lambda run: run.id
    )


@router.get(
    "/reconciliations/{reconciliation}", response_model=models.ShownReconciliation
)
@allow(Scope.FINANCE, of=_OF_IT)
def get_reconciliation(
    request: Request,
    reconciliation: RunId,
    limit: cursors.Limit = cursors.LIMIT,
    cursor: cursors.Cursor = None,
) -> Answer:
    """Show how one stands, and a page of the differences that it found."""
    deps = context_of(request).deps
    after = cursors.decode_number(cursor, 0)
    shown = reconciliations.show(deps, reconciliation, after=after, limit=limit + 1)
    page = shown._replace(differences=shown.differences[:limit])
    more = len(shown.differences) > limit
    last = cursors.encode(page.differences[-1].id) if more else None
    return reconciliation_responses.of_shown(page) | {"next": last}
