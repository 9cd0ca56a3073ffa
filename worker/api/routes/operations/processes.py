"""Workers and dispatchers: what each is doing, and draining them."""

from typing import Annotated

from fastapi import APIRouter, Body, Path, Request

from storage.access_scopes import Scope
from worker.api import models
from worker.api.access_control import CheckedRoute, acting_of, allow
from worker.api.context import context_of
from worker.operations import worker_drain
from worker.responses import operation_responses
from worker.responses.response import Answer

router = APIRouter(route_class=CheckedRoute, tags=["operations"])

ProcessId = Annotated[models.ClientId, Path(description="The process's id.")]
Reasoned = Annotated[models.Reasoned | None, Body()]


@router.get("/processes", response_model=models.Page[models.Process])
@allow(Scope.OPERATOR, Scope.OBSERVER, house=True)
def list_processes(request: Request) -> Answer:
    """List workers and dispatchers that were heard of within the hour."""
    found = worker_drain.every(context_of(request).deps)
    items = [operation_responses.of_process(process) for process in found]
    return {"items": items, "next": None}


@router.post("/processes/{process}/drain", response_model=models.Process)
@allow(Scope.OPERATOR, house=True)
def drain_process(
    request: Request, process: ProcessId, body: Reasoned = None
) -> Answer:
    """Let a worker end its batches, give its chunks back, and take nothing more."""
    deps, by = context_of(request).deps, acting_of(request, body)
    return operation_responses.of_process(worker_drain.drain(deps, process, by))


@router.post("/processes/{process}/undrain", response_model=models.Process)
@allow(Scope.OPERATOR, house=True)
def undrain_process(
    request: Request, process: ProcessId, body: Reasoned = None
) -> Answer:
    """Let a worker take chunks again."""
    deps, by = context_of(request).deps, acting_of(request, body)
    return operation_responses.of_process(worker_drain.undrain(deps, process, by))
