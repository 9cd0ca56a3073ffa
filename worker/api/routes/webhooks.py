"""Webhooks: where a license is told of what happens."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from sqlalchemy import Connection

from storage.access_scopes import Scope
from storage.webhooks import webhooks as stored
from worker.api import cursors, models
from worker.api.access_control import (
    CheckedRoute,
    Whose,
    allow,
    license_itself,
    seen_license,
)
from worker.api.context import context_of
from worker.api.idempotency_keys import made_by, once_of
from worker.responses import webhook_responses
from worker.responses.response import Answer
from worker.webhooks import webhooks

router = APIRouter(route_class=CheckedRoute, tags=["webhooks"])

WebhookId = Annotated[models.ClientId, Path(description="The webhook's id.")]


def _owner(connection: Connection, webhook_id: str) -> str | None:
    found = stored.get(connection, webhook_id)
    return found.license_id if found else None


_OF_IT = Whose("webhook", _owner)


@router.post("/webhooks", status_code=201, response_model=models.NewlyMadeWebhook)
@allow(Scope.PRODUCER, body=(Whose("license", license_itself),), secret=True)
def create_webhook(request: Request, body: models.NewWebhook) -> Answer:
    """Make a webhook; its secret is shown this once."""
    deps = context_of(request).deps
    made = made_by(request)
    if made is not None:
        return webhook_responses.of_webhook(webhooks.get(deps, made)) | {"secret": None}
    webhook, secret = webhooks.create(
        deps, body.license, body.url, body.events, once_of(request)
    )
    return webhook_responses.of_webhook(webhook, secret=secret)


@router.post("/webhooks/{webhook}/rotate", response_model=models.RotatedWebhook)
@allow(Scope.PRODUCER, of=_OF_IT, secret=True)
def rotate_secret(
    request: Request, webhook: WebhookId, body: models.Rotation
) -> Answer:
    """Give a webhook another secret; it is shown this once."""
    deps = context_of(request).deps
    if made_by(request) is not None:
        return webhook_responses.of_rotated(webhooks.get(deps, webhook), None, None)
    rotated = webhooks.rotate(deps, webhook, body.overlap_s, once_of(request))
    return webhook_responses.of_rotated(*rotated)


@router.get("/webhooks", response_model=models.Page[models.Webhook])
@allow(Scope.PRODUCER)
def list_webhooks(
    request: Request,
    license: Annotated[models.ClientId | None, Query()] = None,
    limit: cursors.Limit = cursors.LIMIT,
    cursor: cursors.Cursor = None,
) -> Answer:
    """List webhooks."""
    found = webhooks.page(
        context_of(request).deps,
        license_id=seen_license(request, license),
        after=cursors.decode(cursor) if cursor else None,
        limit=limit + 1,
    )
    return cursors.page(found, limit, webhook_responses.of_webhook, lambda row: row.id)


@router.delete("/webhooks/{webhook}", response_model=models.Webhook)
@allow(Scope.PRODUCER, of=_OF_IT)
def delete_webhook(request: Request, webhook: WebhookId) -> Answer:
    """Take a webhook away."""
    deps = context_of(request).deps
    found = webhooks.get(deps, webhook)
    webhooks.delete(deps, webhook)
    return webhook_responses.of_webhook(found)


@router.get(
    "/webhooks/{webhook}/deliveries", response_model=models.Page[models.Delivery]
)
@allow(Scope.PRODUCER, of=_OF_IT)
def list_deliveries(
    request: Request,
    webhook: WebhookId,
    limit: cursors.Limit = cursors.LIMIT,
    cursor: cursors.Cursor = None,
) -> Answer:
    """List what a webhook was told, with each attempt, the newest first."""
    before = cursors.decode_number(cursor, 0) or None
    found = webhooks.deliveries(
        context_of(request).deps, webhook, before=before, limit=limit + 1
    )
    return cursors.page(found, limit, webhook_responses.of_delivery, lambda row: row.id)
