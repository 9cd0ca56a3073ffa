"""Connections: one license's access to one CRM each. Secrets come and go encrypted."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, text

from storage.connections.token_refresh import _AT
from storage.jobs import parked_jobs


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
    account: str | None
    created_at: datetime


_COLUMNS = "id, license_id, connector, name, state, settings, account, created_at"


def create(
    connection: Connection,
    connection_id: str,
    license_id: str,
    *,
    connector: str,
    name: str,
    settings: dict[str, Any],
    secrets: str,
    account: str | None = None,
) -> CrmConnection:
    """Keep a new connection; `secrets` are encrypted already.

    `account` is what its CRM calls the account that it leads to, where it has said so.
    """
    row = connection.execute(
        text(f"""
            INSERT INTO connections (id, license_id, connector, name, settings, secrets,
                                     account)
            VALUES (:id, :license_id, :connector, :name, CAST(:settings AS jsonb),
                    :secrets, :account)
            RETURNING {_COLUMNS}"""),  # noqa: S608 - a constant
        {
            "id": connection_id,
            "license_id": license_id,
            "connector": connector,
            "name": name,
            "settings": json.dumps(settings),
            "secrets": secrets,
            "account": account,
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


def connectors_of(
    connection: Connection, connection_ids: Sequence[str]
) -> dict[str, str]:
    """Which connector each of these has, without those that were taken away."""
    rows = connection.execute(
        text("""
            SELECT id, connector FROM connections
             WHERE id = ANY (:ids) AND deleted_at IS NULL"""),
        {"ids": list(connection_ids)},
    )
    return {row.id: row.connector for row in rows}


def reconnect(
    connection: Connection,
    connection_id: str,
    secrets: str,
    *,
    url: str | None = None,
    account: str | None = None,
) -> bool:
    """Keep other secrets: the connection works, and its jobs that waited go on.

    With an `account`, only where it is known to lead to no other; else False, and
    nothing was changed.
    """
    moved = connection.execute(
        text(f"""
            UPDATE connections
               SET secrets = :secrets, version = version + 1, refreshing_until = NULL,
                   state = 'active', account = COALESCE(:account, account),
                   settings = {_AT}
             WHERE id = :id AND deleted_at IS NULL
               AND (CAST(:account AS text) IS NULL OR account IS NULL
                    OR account = :account)"""),  # noqa: S608 - a constant
        {"id": connection_id, "secrets": secrets, "url": url, "account": account},
    )
    if moved.rowcount == 1:
        parked_jobs.resume_parked(connection, connection_id)
    return moved.rowcount == 1


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


def works(connection: Connection, connection_id: str) -> None:
    """Note that a CRM takes a connection's secrets; jobs that waited for it go on."""
    connection.execute(
        text("""
            UPDATE connections SET state = 'active'
             WHERE id = :id AND state <> 'active'"""),
        {"id": connection_id},
    )
    parked_jobs.resume_parked(connection, connection_id)


def needs_reconnect(
    connection: Connection, connection_id: str, version: int | None
) -> bool:
    """Note that a CRM takes the secrets of this version no more.

    False where there are others by now: then they have to be tried first.
    """
    moved = connection.execute(
        text("""
            UPDATE connections SET state = 'needs_reconnect'
             WHERE id = :id
               AND (CAST(:version AS integer) IS NULL OR version = :version)"""),
        {"id": connection_id, "version": version},
    )
    return moved.rowcount == 1


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
