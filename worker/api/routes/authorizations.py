"""Connections by consent: where to send somebody."""

from fastapi import APIRouter, Request
from sqlalchemy import Connection

from storage.access_scopes import Scope
from storage.connections import connections as stored
from worker.api import models
from worker.api.access_control import CheckedRoute, Whose, allow, license_itself
from worker.api.context import context_of
from worker.api.idempotency_keys import made_by, once_of
from worker.connections import connections, oauth_consent
from worker.infrastructure import clock
from worker.infrastructure.errors import Code, Refused
from worker.responses.response import Answer

router = APIRouter(route_class=CheckedRoute, tags=["connections"])


def _owner(connection: Connection, connection_id: str) -> str | None:
    found = stored.get(connection, connection_id)
    return found.license_id if found else None


@router.post("/authorizations", status_code=201, response_model=models.Authorization)
@allow(
    Scope.PRODUCER,
    body=(Whose("license", license_itself), Whose("connection", _owner)),
    secret=True,
)
def create_authorization(request: Request, body: models.NewAuthorization) -> Answer:
    """Say where to send somebody who is to connect a CRM, or to reconnect it."""
    deps = context_of(request).deps
    name, settings = body.name, body.settings
    if body.connection is not None:
        there = connections.get(deps, body.connection)
        if (there.license_id, there.connector) != (body.license, body.connector):
            raise Refused(Code.NOT_FOUND, f"there is no connection {body.connection}")
        name, settings = there.name, there.settings
    asked = oauth_consent.ask(
        deps,
        oauth_consent.Wish(
            body.license,
            body.connector,
            name,
            settings,
            return_url=body.return_url,
            connection_id=body.connection,
        ),
        base_url=str(request.base_url),
        # Whose answer was lost is sent there anew: the state of the first is nowhere.
        once=None if made_by(request) else once_of(request),
    )
    return {"url": asked.url, "expires_at": clock.instant(asked.expires_at)}
