"""Connections: one license's access to one CRM each. Secrets come and go encrypted."""

import json
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import Connection, text

from storage import steering


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


class KeptSecrets(NamedTuple):
    """Encrypted secrets; the version counts how often they have changed."""

    sealed: str
    version: int


def kept_secrets(connection: Connection, connection_id: str) -> KeptSecrets | None:
    """The secrets of a connection, unless it was taken away."""
    row = connection.execute(
        text("""
            SELECT secrets, version FROM connections
             WHERE id = :id AND deleted_at IS NULL"""),
        {"id": connection_id},
    ).one_or_none()
    return None if row is None else KeptSecrets(*row)


def begin_refresh(
    connection: Connection, connection_id: str, version: int, *, lease_s: float
) -> datetime | None:
    """Be the one who refreshes the tokens of this version; until when.

    None where somebody else does, or they have changed meanwhile.
    """
    return connection.execute(
        text("""
            UPDATE connections SET refreshing_until
                     = clock_timestamp() + make_interval(secs => :lease_s)
             WHERE id = :id AND deleted_at IS NULL AND version = :version
               AND (refreshing_until IS NULL OR refreshing_until < clock_timestamp())
            RETURNING refreshing_until"""),
        {"id": connection_id, "version": version, "lease_s": lease_s},
    ).scalar_one_or_none()


def end_refresh(connection: Connection, connection_id: str, until: datetime) -> None:
    """Let somebody else refresh, unless somebody else does already."""
    connection.execute(
        text("""
            UPDATE connections SET refreshing_until = NULL
             WHERE id = :id AND refreshing_until = :until"""),
        {"id": connection_id, "until": until},
    )


_AT = """settings || jsonb_strip_nulls(
                jsonb_build_object('url', CAST(:url AS text)))"""
"""The settings, with the address at which the CRM says that it is reached now."""


def keep_refreshed(
    connection: Connection,
    connection_id: str,
    secrets: str,
    *,
    version: int,
    until: datetime,
    url: str | None = None,
) -> None:
    """Keep a refreshed pair, unless the secrets have changed since this version.

    A worker that comes back when its turn, which lasted `until` then, is over stores
    its pair as well: others may have taken the grant for dead meanwhile, and it is not.
    Within its turn it says nothing of whether the CRM takes what it has granted.
    """
    is_active = connection.execute(
        text(f"""
            UPDATE connections
               SET secrets = :secrets, version = version + 1, refreshing_until = NULL,
                   settings = {_AT},
                   state = CASE WHEN refreshing_until = :until THEN state
                                ELSE 'active' END
             WHERE id = :id AND deleted_at IS NULL AND version = :version
            RETURNING state = 'active'"""),  # noqa: S608 - a constant
        {
            "id": connection_id,
            "secrets": secrets,
            "version": version,
            "until": until,
            "url": url,
        },
    ).scalar_one_or_none()
    if is_active:
        steering.resume_parked(connection, connection_id)


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
        steering.resume_parked(connection, connection_id)
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
    steering.resume_parked(connection, connection_id)


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
