"""Webhooks: where a license is told of what happens."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from sqlalchemy import Connection

from storage.enumerations import Scope
from storage.webhooks import webhooks as stored
from worker import answers, webhooks
from worker.answers import Answer
from worker.api import models, pages
from worker.api.door import door_of
from worker.api.guard import (
    GuardedRoute,
    Whose,
    allow,
    license_itself,
    seen_license,
)
from worker.api.replay import made_by, once_of

router = APIRouter(route_class=GuardedRoute, tags=["webhooks"])

WebhookId = Annotated[models.ClientId, Path(description="The webhook's id.")]


def _owner(connection: Connection, webhook_id: str) -> str | None:
    found = stored.get(connection, webhook_id)
    return found.license_id if found else None


_OF_IT = Whose("webhook", _owner)


@router.post("/webhooks", status_code=201, response_model=models.NewlyMadeWebhook)
@allow(Scope.PRODUCER, body=(Whose("license", license_itself),), secret=True)
def create_webhook(request: Request, body: models.NewWebhook) -> Answer:
    """Make a webhook; its secret is shown this once."""
    deps = door_of(request).deps
    made = made_by(request)
    if made is not None:
        return answers.of_webhook(webhooks.get(deps, made)) | {"secret": None}
    webhook, secret = webhooks.create(
        deps, body.license, body.url, body.events, once_of(request)
    )
    return answers.of_webhook(webhook, secret=secret)


@router.get("/webhooks", response_model=models.Page[models.Webhook])
@allow(Scope.PRODUCER)
def list_webhooks(
    request: Request,
    license: Annotated[models.ClientId | None, Query()] = None,
    limit: pages.Limit = pages.LIMIT,
    cursor: pages.Cursor = None,
) -> Answer:
    """List webhooks."""
    found = webhooks.page(
        door_of(request).deps,
        license_id=seen_license(request, license),
        after=pages.decode(cursor) if cursor else None,
        limit=limit + 1,
    )
    return pages.page(found, limit, answers.of_webhook, lambda row: row.id)


@router.delete("/webhooks/{webhook}", response_model=models.Webhook)
@allow(Scope.PRODUCER, of=_OF_IT)
def delete_webhook(request: Request, webhook: WebhookId) -> Answer:
    """Take a webhook away."""
    deps = door_of(request).deps
    found = webhooks.get(deps, webhook)
    webhooks.delete(deps, webhook)
    return answers.of_webhook(found)


@router.get(
    "/webhooks/{webhook}/deliveries", response_model=models.Page[models.Delivery]
)
@allow(Scope.PRODUCER, of=_OF_IT)
def list_deliveries(
    request: Request,
    webhook: WebhookId,
    limit: pages.Limit = pages.LIMIT,
    cursor: pages.Cursor = None,
) -> Answer:
    """List what a webhook was told, with each attempt, the newest first."""
    before = pages.decode_number(cursor, 0) or None
    found = webhooks.deliveries(
        door_of(request).deps, webhook, before=before, limit=limit + 1
    )
    return pages.page(found, limit, answers.of_delivery, lambda row: row.id)
