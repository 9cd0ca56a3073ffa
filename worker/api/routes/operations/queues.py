"""The queues: what waits, for how long, and whose turn it is."""

from fastapi import APIRouter, Request

from storage.access_scopes import Scope
from worker.api import models
from worker.api.access_control import CheckedRoute, allow
from worker.api.context import context_of
from worker.operations import turn_order
from worker.operations.overview import look_once
from worker.responses import queue_responses
from worker.responses.response import Answer

router = APIRouter(route_class=CheckedRoute, tags=["operations"])


@router.get("/queues", response_model=models.Queues)
@allow(Scope.OPERATOR, Scope.OBSERVER, house=True)
def list_queues(request: Request) -> Answer:
    """Show the queues, which license's turn it is, and the outbox."""
    deps = context_of(request).deps
    return queue_responses.of_queues(
        look_once(deps.settings, deps.database), turn_order.license_turns(deps)
    )
