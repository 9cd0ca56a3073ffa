"""Statements of periods, and closing one."""

from datetime import datetime
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Path, Query, Request, Response

from storage.access_scopes import Scope
from storage.finance.statements import statement_runs
from worker.api import cursors, models
from worker.api.access_control import (
    CheckedRoute,
    Whose,
    acting_of,
    allow,
    license_itself,
)
from worker.api.context import context_of
from worker.finance.statements import period_close, statements
from worker.finance.statements.statement_formats import (
    MEDIA_TYPES,
    StatementFormat,
    file_of,
)
from worker.infrastructure.errors import bad
from worker.licenses.licenses import open_license
from worker.responses import statement_responses
from worker.responses.response import Answer

router = APIRouter(route_class=CheckedRoute, tags=["finance"])

LicenseId = Annotated[models.ClientId, Path(description="The license's id.")]

_OF_IT = Whose("license", license_itself)
_FILES: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {
            MEDIA_TYPES[each]: {}
            for each in StatementFormat
            if each is not StatementFormat.JSON
        }
    }
}


@router.get(
    "/licenses/{license}/statement",
    response_model=models.Statement,
    responses=_FILES,
)
@allow(Scope.FINANCE, of=_OF_IT)
def get_statement(
    request: Request,
    license: LicenseId,
    period: Annotated[
        models.PeriodName | None,
        Query(description="Its starts_at or that month; by default the running one."),
    ] = None,
    run: Annotated[
        int | None,
        Query(ge=1, le=1_000_000, description="Of a closed period; by default 1."),
    ] = None,
    format: StatementFormat = StatementFormat.JSON,
) -> Response:
    """Show what moved a period's credits, and what they went to."""
    shown = statements.show(context_of(request).deps, license, period, run)
    file = file_of(shown, format)
    headers = {}
    if format is not StatementFormat.JSON:
        name = quote(file.name, safe="")
        headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{name}"
    return Response(file.data, media_type=file.media_type, headers=headers)


@router.get(
    "/licenses/{license}/statements",
    response_model=models.Page[models.FrozenStatement],
)
@allow(Scope.FINANCE, of=_OF_IT)
def list_statements(
    request: Request,
    license: LicenseId,
    limit: cursors.Limit = cursors.LIMIT,
    cursor: cursors.Cursor = None,
) -> Answer:
    """List what is frozen: of the newest period first, its newest run first."""
    deps = context_of(request).deps
    open_license(deps, license)
    before = _before(cursors.decode(cursor)) if cursor else None
    with deps.database.transaction() as connection:
        found = statement_runs.of_license(
            connection, license, before=before, limit=limit + 1
        )
    return cursors.page(
        found,
        limit,
        statement_responses.of_run,
        lambda row: f"{row.starts_at.isoformat()} {row.run}",
    )


def _before(given: str) -> tuple[datetime, int]:
    starts_at, _, run = given.partition(" ")
    try:
        return datetime.fromisoformat(starts_at), min(int(run), 1 << 31)
    except ValueError as error:
        raise bad("cursor", "is no cursor of this list") from error


@router.post("/licenses/{license}/close", response_model=models.Statement)
@allow(Scope.FINANCE, of=_OF_IT)
def close_period(
    request: Request, license: LicenseId, body: models.PeriodToClose
) -> Response:
    """Close a period that has ended, for good, and answer its frozen statement."""
    document = period_close.close(
        context_of(request).deps, license, body.period, acting_of(request, body)
    )
    return Response(document, media_type=MEDIA_TYPES[StatementFormat.JSON])
