"""What is stuck or has failed is tried again: chunks, deliveries, the outbox."""

from typing import Annotated

from fastapi import APIRouter, Body, Path, Request
from sqlalchemy import Connection

from storage.access_scopes import Scope
from storage.operations import chunk_reports
from storage.webhooks import webhook_deliveries
from worker.api import models
from worker.api.access_control import CheckedRoute, Whose, acting_of, allow
from worker.api.context import context_of
from worker.operations import chunk_recall, outbox_requeue
from worker.responses import operation_responses, webhook_responses
from worker.responses.response import Answer
from worker.webhooks import webhooks

router = APIRouter(route_class=CheckedRoute, tags=["operations"])

_BIGINT_MAX = (1 << 63) - 1

ChunkId = Annotated[int, Path(ge=1, le=_BIGINT_MAX, description="The chunk's id.")]
DeliveryId = Annotated[
    int, Path(ge=1, le=_BIGINT_MAX, description="The delivery's id.")
]
Reasoned = Annotated[models.Reasoned | None, Body()]


def _number(named: str) -> int:
    """The number that an id is; 0, which nothing has, where it is none."""
    is_one = named.isascii() and named.isdigit() and int(named) <= _BIGINT_MAX
    return int(named) if is_one else 0


def _owner_of_chunk(connection: Connection, named: str) -> str | None:
    return chunk_reports.license_of(connection, _number(named))


def _owner_of_delivery(connection: Connection, named: str) -> str | None:
    return webhook_deliveries.license_of(connection, _number(named))


@router.post("/chunks/{chunk}/give-back", response_model=models.Chunk)
@allow(Scope.OPERATOR, of=Whose("chunk", _owner_of_chunk))
def give_back_chunk(request: Request, chunk: ChunkId, body: Reasoned = None) -> Answer:
    """Take a chunk from the worker that runs it: another goes on from its cursor."""
    deps = context_of(request).deps
    chunk_recall.give_back(deps, chunk, acting_of(request, body))
    return operation_responses.of_chunk(chunk_recall.report(deps, chunk))


@router.post("/deliveries/{delivery}/send-again", response_model=models.Delivery)
@allow(Scope.PRODUCER, Scope.OPERATOR, of=Whose("delivery", _owner_of_delivery))
def send_again(request: Request, delivery: DeliveryId, body: Reasoned = None) -> Answer:
    """Attempt a webhook's delivery once more at once, whatever became of it before."""
    found = webhooks.send_again(
        context_of(request).deps, delivery, acting_of(request, body)
    )
    return webhook_responses.of_delivery(found)


@router.post("/outbox/requeue", response_model=models.Requeued)
@allow(Scope.OPERATOR, house=True)
def requeue_outbox(
    request: Request, body: Annotated[models.Requeue | None, Body()] = None
) -> Answer:
    """Let all that waits after a failure be tried at once."""
    moved = outbox_requeue.requeue(
        context_of(request).deps,
        acting_of(request, body),
        topic=body.topic if body else None,
    )
    return {"requeued": moved}
