"""Authorizations: somebody was sent to a CRM to consent, and has not come back yet."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorization:
    """What is made once they come back: a connection, or one that works again.

    `state_digest` is of what they bring with them; `verifier` is encrypted already.
    """

    state_digest: str
    license_id: str
    connector: str
    name: str
    settings: dict[str, Any]
    connection_id: str | None
    redirect_uri: str
    verifier: str
    return_url: str | None


def put(connection: Connection, asked: Authorization, *, lasts_s: float) -> datetime:
    """Keep an authorization; until when they may come back."""
    expires_at: datetime = connection.execute(
        text("""
            INSERT INTO authorizations (state_digest, license_id, connector, name,
                                        settings, connection_id, redirect_uri, verifier,
                                        return_url, expires_at)
            VALUES (:state_digest, :license_id, :connector, :name,
                    CAST(:settings AS jsonb), :connection_id, :redirect_uri, :verifier,
                    :return_url, clock_timestamp() + make_interval(secs => :lasts_s))
            RETURNING expires_at"""),
        {
            "state_digest": asked.state_digest,
            "license_id": asked.license_id,
            "connector": asked.connector,
            "name": asked.name,
            "settings": json.dumps(asked.settings),
            "connection_id": asked.connection_id,
            "redirect_uri": asked.redirect_uri,
            "verifier": asked.verifier,
            "return_url": asked.return_url,
            "lasts_s": lasts_s,
        },
    ).scalar_one()
    return expires_at


def take(connection: Connection, state_digest: str) -> Authorization | None:
    """Use an authorization, once; None where it is over, used, or was never there."""
    row = (
        connection.execute(
            text("""
                UPDATE authorizations SET used_at = clock_timestamp()
                 WHERE state_digest = :state_digest AND used_at IS NULL
                   AND expires_at > clock_timestamp()
                RETURNING state_digest, license_id, connector, name, settings,
                          connection_id, redirect_uri, verifier, return_url"""),
            {"state_digest": state_digest},
        )
        .mappings()
        .one_or_none()
    )
    return None if row is None else Authorization(**row)


def forget(connection: Connection, *, after_s: float, limit: int) -> int:
    """Let go of authorizations that ended so long ago."""
    return connection.execute(
        text("""
            DELETE FROM authorizations WHERE state_digest IN (
              SELECT state_digest FROM authorizations
               WHERE expires_at < (
                     SELECT holdfast_confirmed_clock() - make_interval(
                              secs => :after_s))
               ORDER BY expires_at LIMIT :limit)"""),
        {"after_s": after_s, "limit": limit},
    ).rowcount
