"""Webhooks: where a license wants to be told of which events."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """Where to tell a license of which events; its secret is never read with it."""

    id: str
    license_id: str
    url: str
    events: tuple[str, ...]
    created_at: datetime


_COLUMNS = "id, license_id, url, events, created_at"
_REPLACED_MAX = 4
"""Each makes the headers of every message longer."""


def create(
    connection: Connection,
    webhook_id: str,
    license_id: str,
    *,
    url: str,
    events: Sequence[str],
    secret: str,
) -> Webhook:
    """Keep a new webhook; `secret` is encrypted already."""
    row = connection.execute(
        text(f"""
            INSERT INTO webhooks (id, license_id, url, events, secret)
            VALUES (:id, :license_id, :url, CAST(:events AS text[]), :secret)
            RETURNING {_COLUMNS}"""),  # noqa: S608 - a constant
        {
            "id": webhook_id,
            "license_id": license_id,
            "url": url,
            "events": list(events),
            "secret": secret,
        },
    ).one()
    return _webhook(row._asdict())


def get(connection: Connection, webhook_id: str) -> Webhook | None:
    """The webhook of this id, unless it was deleted."""
    row = connection.execute(
        text(f"""
            SELECT {_COLUMNS} FROM webhooks
             WHERE id = :id AND deleted_at IS NULL"""),  # noqa: S608 - a constant
        {"id": webhook_id},
    ).one_or_none()
    return None if row is None else _webhook(row._asdict())


def page(
    connection: Connection,
    *,
    license_id: str | None = None,
    after: str | None = None,
    limit: int = 100,
) -> list[Webhook]:
    """Webhooks by id, of one license if asked, from behind the id `after`."""
    rows = connection.execute(
        text(f"""
            SELECT {_COLUMNS} FROM webhooks
             WHERE deleted_at IS NULL
               AND (CAST(:license_id AS text) IS NULL OR license_id = :license_id)
               AND (CAST(:after AS text) IS NULL OR id > :after)
             ORDER BY id LIMIT :limit"""),  # noqa: S608 - a constant
        {"license_id": license_id, "after": after, "limit": limit},
    )
    return [_webhook(row._asdict()) for row in rows]


def _webhook(row: dict[str, Any]) -> Webhook:
    return Webhook(**row | {"events": tuple(row["events"])})


def delete(connection: Connection, webhook_id: str) -> bool:
    """Take a webhook away; False where there is none. Its deliveries are kept."""
    moved = connection.execute(
        text("""
            UPDATE webhooks SET deleted_at = clock_timestamp()
             WHERE id = :id AND deleted_at IS NULL"""),
        {"id": webhook_id},
    )
    _keep_replaced(connection, webhook_id, at_most=0)
    return moved.rowcount == 1


# -- Secrets that are replaced.


def secret_to_replace(connection: Connection, webhook_id: str) -> str | None:
    """The encrypted secret, held until the transaction ends; None without a webhook."""
    secret: str | None = connection.execute(
        text("""
            SELECT secret FROM webhooks
             WHERE id = :id AND deleted_at IS NULL FOR NO KEY UPDATE"""),
        {"id": webhook_id},
    ).scalar_one_or_none()
    return secret


def replace_secret(
    connection: Connection, webhook_id: str, *, secret: str, overlap_s: int
) -> datetime | None:
    """Sign with another secret, and for so long with what was good till now as well.

    What was replaced before ends no later than what is replaced now. `secret` is
    encrypted already. When the old ones end; None where they have ended.
    """
    given = {"id": webhook_id, "secret": secret, "overlap_s": overlap_s}
    end = "clock_timestamp() + make_interval(secs => :overlap_s)"
    connection.execute(
        text(f"""
            UPDATE replaced_secrets SET signs_until = least(signs_until, {end})
             WHERE webhook_id = :id"""),  # noqa: S608 - a constant
        given,
    )
    until: datetime = connection.execute(
        text(f"""
            INSERT INTO replaced_secrets (webhook_id, secret, signs_until)
            SELECT id, secret, {end} FROM webhooks WHERE id = :id
            RETURNING signs_until"""),  # noqa: S608 - a constant
        given,
    ).scalar_one()
    connection.execute(
        text("UPDATE webhooks SET secret = :secret WHERE id = :id"), given
    )
    _keep_replaced(connection, webhook_id, at_most=_REPLACED_MAX if overlap_s else 0)
    return until if overlap_s else None


def _keep_replaced(connection: Connection, webhook_id: str, *, at_most: int) -> None:
    """Forget all but the newest replaced secrets of a webhook."""
    connection.execute(
        text("""
            DELETE FROM replaced_secrets WHERE id IN (
              SELECT id FROM replaced_secrets WHERE webhook_id = :id
               ORDER BY id DESC OFFSET :at_most)"""),
        {"id": webhook_id, "at_most": at_most},
    )
