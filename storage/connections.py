"""Connections: one license's access to one CRM each. Secrets come and go encrypted."""

import json
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, text


class ConnectionState(StrEnum):
    """Whether a connection works, as far as is known."""

    ACTIVE = "active"
    NEEDS_RECONNECT = "needs_reconnect"
    """The CRM takes its secrets no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CrmConnection:
    """A connection without its secrets."""

    id: str
    license_id: str
    connector: str
    name: str
    state: ConnectionState
    settings: dict[str, Any]
    created_at: datetime


_COLUMNS = "id, license_id, connector, name, state, settings, created_at"


def create(
    connection: Connection,
    connection_id: str,
    license_id: str,
    *,
    connector: str,
    name: str,
    settings: dict[str, Any],
    secrets: str,
) -> CrmConnection:
    """Keep a new connection; `secrets` are encrypted already."""
    row = connection.execute(
        text(f"""
            INSERT INTO connections (id, license_id, connector, name, settings, secrets)
            VALUES (:id, :license_id, :connector, :name, CAST(:settings AS jsonb),
                    :secrets)
            RETURNING {_COLUMNS}"""),  # noqa: S608 - a constant
        {
            "id": connection_id,
            "license_id": license_id,
            "connector": connector,
            "name": name,
            "settings": json.dumps(settings),
            "secrets": secrets,
        },
    ).one()
    return _connection(row._asdict())


def get(connection: Connection, connection_id: str) -> CrmConnection | None:
    """The connection of this id, unless it was taken away."""
    row = connection.execute(
        text(f"""
            SELECT {_COLUMNS} FROM connections
             WHERE id = :id AND deleted_at IS NULL"""),  # noqa: S608 - a constant
        {"id": connection_id},
    ).one_or_none()
    return None if row is None else _connection(row._asdict())


def secrets_of(connection: Connection, connection_id: str) -> str:
    """The encrypted secrets of a connection that is there."""
    secrets: str = connection.execute(
        text("SELECT secrets FROM connections WHERE id = :id AND deleted_at IS NULL"),
        {"id": connection_id},
    ).scalar_one()
    return secrets


def page(
    connection: Connection,
    *,
    license_id: str | None = None,
    after: str | None = None,
    limit: int = 100,
) -> list[CrmConnection]:
    """Connections by id, of one license if asked, from behind the id `after`."""
    rows = connection.execute(
        text(f"""
            SELECT {_COLUMNS} FROM connections
             WHERE deleted_at IS NULL
               AND (CAST(:license_id AS text) IS NULL OR license_id = :license_id)
               AND (CAST(:after AS text) IS NULL OR id > :after)
             ORDER BY id LIMIT :limit"""),  # noqa: S608 - a constant
        {"license_id": license_id, "after": after, "limit": limit},
    )
    return [_connection(row._asdict()) for row in rows]


def _connection(row: dict[str, Any]) -> CrmConnection:
    return CrmConnection(**row | {"state": ConnectionState(row["state"])})


def mark(connection: Connection, connection_id: str, state: ConnectionState) -> None:
    """Note whether a connection works."""
    connection.execute(
        text(
            "UPDATE connections SET state = :state WHERE id = :id AND state <> :state"
        ),
        {"id": connection_id, "state": state.value},
    )


def open_job(connection: Connection, connection_id: str) -> str | None:
    """A job that still needs a connection, if there is one."""
    return connection.execute(
        text("""
            SELECT j.id FROM jobs AS j JOIN quotes AS q ON q.id = j.quote_id
             WHERE q.push IS NOT NULL AND q.push ->> 'connection' = :id
               AND j.finished_at IS NULL
             ORDER BY j.created_at LIMIT 1"""),
        {"id": connection_id},
    ).scalar_one_or_none()


def delete(connection: Connection, connection_id: str) -> bool:
    """Take a connection and its secrets away; False where there is none."""
    moved = connection.execute(
        text("""
            UPDATE connections SET deleted_at = clock_timestamp(), secrets = ''
             WHERE id = :id AND deleted_at IS NULL"""),
        {"id": connection_id},
    )
    return moved.rowcount == 1
