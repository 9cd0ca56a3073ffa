"""Dry runs: what a push would do, before anything is sent or paid for."""

from typing import Annotated

from fastapi import APIRouter, Path, Request

from storage.access_scopes import Scope
from storage.pushes import dry_runs as stored
from storage.pushes.dry_runs import Item
from worker.api import cursors, models
from worker.api.access_control import CheckedRoute, Whose, allow, license_itself
from worker.api.context import context_of
from worker.api.idempotency_keys import made_by, once_of
from worker.api.routes.quotes import WrittenRecords, reading_of, wanted_of
from worker.pushes import dry_runs
from worker.responses import connection_responses
from worker.responses.response import Answer

router = APIRouter(route_class=CheckedRoute, tags=["dry runs"])

DryRunId = Annotated[models.ClientId, Path(description="The dry run's id.")]

_OF_IT = Whose("dry_run", stored.license_of)


@router.post("/dry-runs", status_code=202, response_model=models.DryRun)
@allow(Scope.PRODUCER, body=(Whose("license", license_itself),))
def create_dry_run(
    request: Request, body: models.QuoteBody, records: WrittenRecords
) -> Answer:
    """Find out what a push would create, update, leave or not be able to."""
    context = context_of(request)
    made = made_by(request)
    if made is None:
        made = dry_runs.create(
            context.deps,
            wanted_of(body),
            reading_of(context, body, records),
            once_of(request),
        )
    return connection_responses.of_dry_run(dry_runs.get(context.deps, made))


@router.get("/dry-runs/{dry_run}", response_model=models.ShownDryRun)
@allow(Scope.PRODUCER, of=_OF_IT)
def get_dry_run(
    request: Request,
    dry_run: DryRunId,
    limit: cursors.Limit = cursors.LIMIT,
    cursor: cursors.Cursor = None,
) -> Answer:
    """Show a dry run, with a page of its records."""
    deps = context_of(request).deps
    found = dry_runs.get(deps, dry_run)
    with deps.database.transaction() as connection:
        items = stored.items(
            connection,
            dry_run,
            after=cursors.decode_number(cursor, 0),
            limit=limit + 1,
        )
    page = cursors.page(items, limit, _item, lambda item: item.record)
    return connection_responses.of_dry_run(found) | {"items": page}


def _item(item: Item) -> Answer:
    return {
        "record": item.record,
        "outcome": item.outcome,
        "code": item.code,
        "message": item.message,
    }
