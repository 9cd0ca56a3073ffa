"""Dry runs: what a push would do, before anything is sent or paid for."""

from typing import Annotated

from fastapi import APIRouter, Path, Request

from storage.enumerations import Scope
from storage.pushes import dry_runs as stored
from storage.pushes.dry_runs import Item
from worker import answers, dry_runs
from worker.answers import Answer
from worker.api import models, pages
from worker.api.door import door_of
from worker.api.guard import GuardedRoute, Whose, allow, license_itself
from worker.api.quotes import reading_of, wanted_of
from worker.api.replay import made_by, once_of

router = APIRouter(route_class=GuardedRoute, tags=["dry runs"])

DryRunId = Annotated[models.ClientId, Path(description="The dry run's id.")]

_OF_IT = Whose("dry_run", stored.license_of)


@router.post("/dry-runs", status_code=202, response_model=models.DryRun)
@allow(Scope.PRODUCER, body=(Whose("license", license_itself),))
def create_dry_run(request: Request, body: models.QuoteBody) -> Answer:
    """Find out what a push would create, update, leave or not be able to."""
    door = door_of(request)
    made = made_by(request)
    if made is None:
        made = dry_runs.create(
            door.deps, wanted_of(body), reading_of(door, body), once_of(request)
        )
    return answers.of_dry_run(dry_runs.get(door.deps, made))


@router.get("/dry-runs/{dry_run}", response_model=models.ShownDryRun)
@allow(Scope.PRODUCER, of=_OF_IT)
def get_dry_run(
    request: Request,
    dry_run: DryRunId,
    limit: pages.Limit = pages.LIMIT,
    cursor: pages.Cursor = None,
) -> Answer:
    """Show a dry run, with a page of its records."""
    deps = door_of(request).deps
    found = dry_runs.get(deps, dry_run)
    with deps.database.transaction() as connection:
        items = stored.items(
            connection,
            dry_run,
            after=pages.decode_number(cursor, 0),
            limit=limit + 1,
        )
    page = pages.page(items, limit, _item, lambda item: item.record)
    return answers.of_dry_run(found) | {"items": page}


def _item(item: Item) -> Answer:
    return {
        "record": item.record,
        "outcome": item.outcome,
        "code": item.code,
        "message": item.message,
    }
