"""Transfers, and files for a warehouse or an accountant: as of now, sent in pieces."""

from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse

from storage.access_scopes import Scope
from storage.finance import transfers
from storage.finance.warehouse.ledger_rows import Dataset
from worker.api import cursors, models
from worker.api.access_control import CheckedRoute, allow, seen_license
from worker.api.context import context_of
from worker.finance.period_names import starts_of
from worker.finance.warehouse import bulk_export
from worker.finance.warehouse.bulk_export import FileFormat, JournalFormat, Sent
from worker.infrastructure.errors import bad
from worker.responses import credit_responses
from worker.responses.response import Answer

router = APIRouter(route_class=CheckedRoute, tags=["finance"])

License = Annotated[models.ClientId | None, Query(description="By default all.")]
Period = Annotated[
    models.PeriodName | None,
    Query(description="Its starts_at, or the month that it starts in: 2026-11."),
]
Format = Annotated[
    models.RowFormat,
    Query(description="A page of JSON, or all rows of the period as a file."),
]
FILES: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/csv": {}, "application/vnd.apache.parquet": {}}}
}


def sent(file: Sent) -> Response:
    """A file, as it is made."""
    name = quote(file.name, safe="")
    return StreamingResponse(
        file.pieces,
        media_type=file.media_type,
        headers={"Content-Disposition": f"attachment; filename*=UTF-8''{name}"},
    )


def rows_file(
    request: Request,
    dataset: Dataset,
    format: models.RowFormat,
    license: str | None,
    period: str | None,
) -> Response:
    """The rows of a dataset as a file. Raises `BadInput` where no period is named."""
    if period is None:
        raise bad("period", "is needed for a file: a starts_at, or a month")
    scope = bulk_export.scope_of(period, seen_license(request, license))
    deps = context_of(request).deps
    return sent(bulk_export.dataset(deps, dataset, FileFormat(format.value), scope))


@router.get("/transfers", response_model=models.Page[models.Transfer], responses=FILES)
@allow(Scope.FINANCE)
def list_transfers(
    request: Request,
    license: License = None,
    period: Period = None,
    format: Format = models.RowFormat.JSON,
    limit: cursors.Limit = cursors.LIMIT,
    cursor: cursors.Cursor = None,
) -> Answer | Response:
    """List what moved credits from one account to another, in order."""
    if format is not models.RowFormat.JSON:
        return rows_file(request, Dataset.TRANSFERS, format, license, period)
    starts = None if period is None else starts_of(period)
    with context_of(request).deps.database.transaction() as connection:
        found = transfers.find(
            connection,
            license_id=seen_license(request, license),
            starts=starts,
            after=cursors.decode_number(cursor, 0),
            limit=limit + 1,
        )
    return cursors.page(found, limit, credit_responses.of_transfer, lambda row: row.id)


@router.get(
    "/statements",
    response_class=StreamingResponse,
    responses=FILES,
)
@allow(Scope.FINANCE)
def statements_file(
    request: Request,
    period: Period = None,
    license: License = None,
    format: FileFormat = FileFormat.CSV,
) -> Response:
    """Send the frozen statements of the periods that start then."""
    kind = models.RowFormat(format.value)
    return rows_file(request, Dataset.STATEMENTS, kind, license, period)


@router.get(
    "/journal",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/plain": {}}}},
)
@allow(Scope.FINANCE)
def journal(
    request: Request,
    period: Annotated[models.PeriodName, Query(description="As of transfers.")],
    license: License = None,
    format: JournalFormat = JournalFormat.BEANCOUNT,
) -> Response:
    """Send transfers as a journal of double entry, with the balances they come to."""
    scope = bulk_export.scope_of(period, seen_license(request, license))
    return sent(bulk_export.transfers_journal(context_of(request).deps, format, scope))
