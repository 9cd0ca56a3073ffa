"""The secrets of a connection, and whose turn it is to refresh its tokens."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, text

from storage.jobs import parked_jobs


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
        parked_jobs.resume_parked(connection, connection_id)
