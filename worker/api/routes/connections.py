"""Connections: a license's access to its CRMs."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from sqlalchemy import Connection

from storage.access_scopes import Scope
from storage.connections import connections as stored
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
from worker.connections import connections, crm_fields
from worker.responses import connection_responses
from worker.responses.response import Answer

router = APIRouter(route_class=CheckedRoute, tags=["connections"])

ConnectionId = Annotated[models.ClientId, Path(description="The connection's id.")]


def _owner(connection: Connection, connection_id: str) -> str | None:
    found = stored.get(connection, connection_id)
    return found.license_id if found else None


OF_CONNECTION = Whose("connection", _owner)


@router.post("/connections", status_code=201, response_model=models.Connection)
@allow(Scope.PRODUCER, body=(Whose("license", license_itself),))
def create_connection(request: Request, body: models.NewConnection) -> Answer:
    """Make a connection; its secrets are kept encrypted, and its CRM is not asked."""
    deps = context_of(request).deps
    made = made_by(request)
    if made is not None:
        return connection_responses.of_connection(connections.get(deps, made))
    return connection_responses.of_connection(
        connections.create(
            deps,
            body.license,
            body.connector,
            body.name,
            settings=body.settings,
            secrets=body.secrets,
            once=once_of(request),
        )
    )


@router.get("/connections", response_model=models.Page[models.Connection])
@allow(Scope.PRODUCER)
def list_connections(
    request: Request,
    license: Annotated[models.ClientId | None, Query()] = None,
    limit: cursors.Limit = cursors.LIMIT,
    cursor: cursors.Cursor = None,
) -> Answer:
    """List connections."""
    with context_of(request).deps.database.transaction() as connection:
        found = stored.page(
            connection,
            license_id=seen_license(request, license),
            after=cursors.decode(cursor) if cursor else None,
            limit=limit + 1,
        )
    return cursors.page(
        found, limit, connection_responses.of_connection, lambda row: row.id
    )


@router.delete("/connections/{connection}", response_model=models.Connection)
@allow(Scope.PRODUCER, of=OF_CONNECTION)
def delete_connection(request: Request, connection: ConnectionId) -> Answer:
    """Take a connection away, with its secrets; what it wrote stays in the CRM."""
    deps = context_of(request).deps
    return connection_responses.of_connection(connections.delete(deps, connection))


@router.get("/connections/{connection}/fields", response_model=models.ConnectionFields)
@allow(Scope.PRODUCER, of=OF_CONNECTION)
def list_fields(request: Request, connection: ConnectionId) -> Answer:
    """Ask the CRM which fields it has, for a mapping."""
    deps = context_of(request).deps
    fields = crm_fields.fields_of(deps.crms, connections.get(deps, connection))
    return {
        kind.value: connection_responses.of_fields(of) for kind, of in fields.items()
    }


@router.post("/connections/{connection}/reconnect", response_model=models.Connection)
@allow(Scope.PRODUCER, of=OF_CONNECTION)
def reconnect(
    request: Request, connection: ConnectionId, body: models.NewSecrets
) -> Answer:
    """Give a connection other secrets; jobs that waited for them go on."""
    deps = context_of(request).deps
    return connection_responses.of_connection(
        connections.reconnect(deps, connection, body.secrets)
    )


@router.post("/connections/{connection}/test", response_model=models.TestedConnection)
@allow(Scope.PRODUCER, of=OF_CONNECTION)
def test_connection(request: Request, connection: ConnectionId) -> Answer:
    """Ask the CRM something harmless, and say what came of it."""
    tested = connections.test(context_of(request).deps, connection)
    return connection_responses.of_connection(tested.connection) | {
        "ok": tested.ok,
        "code": tested.code,
        "detail": tested.detail,
    }
