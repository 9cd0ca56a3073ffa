"""API keys: made, listed, given an end, revoked."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from sqlalchemy import Connection

from storage.access_scopes import Scope
from storage.licenses import api_keys as stored
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
from worker.licenses import api_keys
from worker.responses import license_responses
from worker.responses.response import Answer

router = APIRouter(route_class=CheckedRoute, tags=["keys"])

KeyId = Annotated[models.ClientId, Path(description="The key's id.")]


def _owner(connection: Connection, key_id: str) -> str | None:
    found = stored.get(connection, key_id)
    return found.license_id if found else None


_OF_IT = Whose("key", _owner)


@router.post("/keys", status_code=201, response_model=models.NewlyMadeKey)
@allow(body=(Whose("license", license_itself),), secret=True)
def create_key(request: Request, body: models.NewKey) -> Answer:
    """Make a key, which is shown this once; a bound key makes those of its license."""
    deps = context_of(request).deps
    made = made_by(request)
    if made is not None:
        return license_responses.of_key(api_keys.get(deps, made)) | {"key": None}
    key_id, key = api_keys.create(
        deps,
        body.name,
        Scope(body.scope),
        seen_license(request, body.license),
        expires_at=body.expires_at,
        once=once_of(request),
    )
    return license_responses.of_key(api_keys.get(deps, key_id)) | {"key": key}


@router.get("/keys", response_model=models.Page[models.Key])
@allow()
def list_keys(
    request: Request,
    license: Annotated[models.ClientId | None, Query()] = None,
    limit: cursors.Limit = cursors.LIMIT,
    cursor: cursors.Cursor = None,
) -> Answer:
    """List keys by id, revoked ones too, without what is secret."""
    found = api_keys.page(
        context_of(request).deps,
        license_id=seen_license(request, license),
        after=cursors.decode(cursor) if cursor else None,
        limit=limit + 1,
    )
    return cursors.page(found, limit, license_responses.of_key, lambda row: row.id)


@router.patch("/keys/{key}", response_model=models.Key)
@allow(of=_OF_IT)
def change_key(request: Request, key: KeyId, body: models.KeyEnd) -> Answer:
    """Say until when a key may be used; null: until it is revoked."""
    deps = context_of(request).deps
    api_keys.expire(deps, key, body.expires_at)
    return license_responses.of_key(api_keys.get(deps, key))


@router.delete("/keys/{key}", response_model=models.Key)
@allow(of=_OF_IT)
def revoke_key(request: Request, key: KeyId) -> Answer:
    """End a key for good, with the console's sessions that it has begun."""
    deps = context_of(request).deps
    api_keys.revoke(deps, key)
    return license_responses.of_key(api_keys.get(deps, key))
