"""The action log."""

from typing import Annotated

from fastapi import APIRouter, Query, Request

from storage.access_scopes import Scope
from storage.operations import action_log
from storage.operations.action_log import WantedActions
from worker.api import cursors, models
from worker.api.access_control import CheckedRoute, allow, seen_license
from worker.api.context import context_of
from worker.responses import operation_responses
from worker.responses.response import Answer

router = APIRouter(route_class=CheckedRoute, tags=["operations"])


@router.get("/actions", response_model=models.Page[models.Action])
@allow(Scope.OPERATOR, Scope.OBSERVER)
def list_actions(
    request: Request,
    license: Annotated[models.ClientId | None, Query()] = None,
    job: Annotated[models.ClientId | None, Query()] = None,
    bulk: Annotated[models.ClientId | None, Query()] = None,
    limit: cursors.Limit = cursors.LIMIT,
    cursor: cursors.Cursor = None,
) -> Answer:
    """List who did what and why, the newest first."""
    wanted = WantedActions(
        license_id=seen_license(request, license),
        job_id=job,
        bulk_id=bulk,
        before=cursors.decode_number(cursor, 0) or None,
    )
    with context_of(request).deps.database.reading() as connection:
        found = action_log.actions(connection, wanted, limit=limit + 1)
    return cursors.page(found, limit, operation_responses.of_action, lambda row: row.id)
