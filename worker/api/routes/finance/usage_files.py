"""A vendor's usage file in the request's body, matched; nothing of it is kept."""

import io
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool

from storage.access_scopes import Scope
from worker.api import models
from worker.api.access_control import CheckedRoute, allow
from worker.api.context import context_of
from worker.finance.reconciliation import usage_match
from worker.infrastructure.errors import bad
from worker.responses.response import Answer

router = APIRouter(route_class=CheckedRoute, tags=["finance"])

_CSV = "text/csv"
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {_CSV: {"schema": {"type": "string", "format": "binary"}}},
    },
}


@router.post(
    "/reconciliations/usage",
    response_model=models.UsageMatches,
    openapi_extra=_BODY,
)
@allow(Scope.FINANCE, house=True)
async def match_usage_file(
    request: Request,
    id: Annotated[models.ColumnName, Query(description="The column with the ids.")],
    amount: Annotated[
        models.ColumnName | None, Query(description="The column with amounts.")
    ] = None,
    at: Annotated[
        models.ColumnName | None,
        Query(description="The column with instants, between which is compared."),
    ] = None,
    provider: Annotated[
        models.ClientId | None, Query(description="Whose file it is.")
    ] = None,
    connection: Annotated[
        models.ClientId | None,
        Query(description="Or to which CRM; the ids are the CRM's."),
    ] = None,
    by: Annotated[
        models.UsageIds, Query(description="What a provider's ids are.")
    ] = models.UsageIds.JOB,
) -> Answer:
    """Match a vendor's usage file (CSV) against what was asked and paid, or sent.

    Of more than 10,000 ids the first are answered, those that differ before others.
    """
    content_type = request.headers.get("Content-Type", "").partition(";")[0]
    if content_type.strip().lower() != _CSV:
        raise bad("Content-Type", f"must be {_CSV}")
    vendor = usage_match.vendor_of(provider, connection, by)
    named = {"id": id, "amount": amount, "at": at}
    columns = {name: column for name, column in named.items() if column is not None}
    deps, body = context_of(request).deps, io.BytesIO(await request.body())
    found = await run_in_threadpool(usage_match.match, deps, body, vendor, columns)
    return usage_match.answer_of(found)
