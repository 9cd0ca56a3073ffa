"""Deliveries: each event for each webhook that wants it, and what became of it.

A delivery is one event for one webhook, made once; an attempt is one request for it.
Attempts are facts: each is kept, also that of a worker that came too late.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, text

DELIVER = "webhook.deliver"
"""The outbox topic of a delivery, whose key is the delivery's id."""


class Attempt(NamedTuple):
    """One request: the status it was answered with, or the error it ended in."""

    status: int | None
    error: str | None
    took_s: float


class LoggedAttempt(NamedTuple):
    """An attempt, and when it was made."""

    attempted_at: datetime
    status: int | None
    error: str | None
    took_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One event for one webhook, with all attempts so far, the first one first.

    `next_attempt_at` is None once it was delivered or given up.
    """

    id: int
    event_id: str
    type: str
    created_at: datetime
    delivered_at: datetime | None
    given_up_at: datetime | None
    next_attempt_at: datetime | None
    attempts: tuple[LoggedAttempt, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """What a delivery needs to be attempted now; `ended` says that it must not be.

    `secrets` are encrypted, the newest first: those that it is signed with.
    """

    id: int
    url: str
    secrets: list[str]
    event_id: str
    type: str
    data: dict[str, Any]
    created_at: datetime
    ended: bool
    deleted: bool
    unix_s: int


def fan_out(connection: Connection, event_id: str) -> int:
    """Queue a delivery for each webhook that wants the event; return how many."""
    queued = connection.execute(
        text("""
            WITH wanted AS (
              INSERT INTO deliveries (webhook_id, event_id)
              SELECT w.id, e.id
                FROM events AS e JOIN webhooks AS w ON w.license_id = e.license_id
               WHERE e.id = :event_id AND w.deleted_at IS NULL
                 AND e.type = ANY (w.events)
               ORDER BY w.id
              ON CONFLICT (webhook_id, event_id) DO NOTHING
              RETURNING id)
            INSERT INTO outbox (topic, key)
            SELECT :topic, CAST(id AS text) FROM wanted"""),
        {"event_id": event_id, "topic": DELIVER},
    )
    return queued.rowcount


def due(connection: Connection, delivery_id: int) -> Due:
    """A delivery as its next attempt needs it, and the time to sign it with."""
    row = connection.execute(
        text("""
            SELECT d.id, w.url, d.event_id, e.type, e.data, e.created_at,
                   d.delivered_at IS NOT NULL OR d.given_up_at IS NOT NULL AS ended,
                   w.deleted_at IS NOT NULL AS deleted,
                   w.secret || ARRAY(
                     SELECT secret FROM replaced_secrets
                      WHERE webhook_id = w.id AND signs_until > clock_timestamp()
                      ORDER BY id DESC) AS secrets,
                   CAST(extract(epoch FROM clock_timestamp()) AS bigint) AS unix_s
              FROM deliveries AS d JOIN webhooks AS w ON w.id = d.webhook_id
              JOIN events AS e ON e.id = d.event_id
             WHERE d.id = :delivery_id"""),
        {"delivery_id": delivery_id},
    ).one()
    return Due(**row._asdict())


def log(connection: Connection, delivery_id: int, attempt: Attempt) -> int:
    """Keep an attempt; return how many there have been."""
    connection.execute(
        text("""
            INSERT INTO delivery_attempts (delivery_id, status, error, took_s)
            VALUES (:delivery_id, :status, :error, :took_s)"""),
        {"delivery_id": delivery_id, **attempt._asdict()},
    )
    count: int = connection.execute(
        text("SELECT count(*) FROM delivery_attempts WHERE delivery_id = :delivery_id"),
        {"delivery_id": delivery_id},
    ).scalar_one()
    return count


def delivered(connection: Connection, delivery_id: int) -> None:
    """A webhook has accepted a delivery: what counts is the first time."""
    connection.execute(
        text("""
            UPDATE deliveries SET delivered_at = clock_timestamp(), given_up_at = NULL
             WHERE id = :delivery_id AND delivered_at IS NULL"""),
        {"delivery_id": delivery_id},
    )


def give_up(connection: Connection, delivery_id: int) -> None:
    """Attempt a delivery no more."""
    connection.execute(
        text("""
            UPDATE deliveries SET given_up_at = clock_timestamp()
             WHERE id = :delivery_id AND delivered_at IS NULL
               AND given_up_at IS NULL"""),
        {"delivery_id": delivery_id},
    )


def deliveries(
    connection: Connection,
    webhook_id: str,
    *,
    before: int | None = None,
    limit: int = 100,
) -> list[Delivery]:
    """What a webhook was told, the newest first, from behind the id `before`."""
    rows = (
        connection.execute(
            text("""
                SELECT d.id, d.event_id, e.type, e.created_at, d.delivered_at,
                       d.given_up_at, o.run_at AS next_attempt_at
                  FROM deliveries AS d JOIN events AS e ON e.id = d.event_id
                  LEFT JOIN outbox AS o ON o.topic = :topic
                       AND o.key = CAST(d.id AS text) AND o.state <> 'done'
                 WHERE d.webhook_id = :webhook_id
                   AND (CAST(:before AS bigint) IS NULL OR d.id < :before)
                 ORDER BY d.id DESC LIMIT :limit"""),
            {
                "topic": DELIVER,
                "webhook_id": webhook_id,
                "before": before,
                "limit": limit,
            },
        )
        .mappings()
        .all()
    )
    attempts = _attempts(connection, [row["id"] for row in rows])
    return [Delivery(**row, attempts=tuple(attempts[row["id"]])) for row in rows]


def _attempts(
    connection: Connection,
    delivery_ids: Sequence[int],
) -> dict[int, list[LoggedAttempt]]:
    found: dict[int, list[LoggedAttempt]] = {one: [] for one in delivery_ids}
    rows = connection.execute(
        text("""
            SELECT delivery_id, attempted_at, status, error, took_s
              FROM delivery_attempts
             WHERE delivery_id = ANY (CAST(:ids AS bigint[])) ORDER BY id"""),
        {"ids": list(delivery_ids)},
    )
    for delivery_id, *attempt in rows:
        found[delivery_id].append(LoggedAttempt(*attempt))
    return found


def license_of(connection: Connection, delivery_id: int) -> str | None:
    """Whose webhook a delivery is for, if it exists."""
    return connection.execute(
        text("""
            SELECT w.license_id FROM deliveries AS d JOIN webhooks AS w
                ON w.id = d.webhook_id WHERE d.id = :id"""),
        {"id": delivery_id},
    ).scalar_one_or_none()


def subject_of(connection: Connection, delivery_id: int) -> str | None:
    """What the event of a delivery is about: a job's id, for example."""
    return connection.execute(
        text("""
            SELECT e.subject FROM deliveries AS d JOIN events AS e ON e.id = d.event_id
             WHERE d.id = :id"""),
        {"id": delivery_id},
    ).scalar_one_or_none()


def send_again(connection: Connection, delivery_id: int) -> bool:
    """Attempt a delivery once more at once, also one that was delivered or given up.

    False where it is about to be attempted anyway. The caller has seen that it exists.
    """
    queued = connection.execute(
        text("""
            INSERT INTO outbox (topic, key) VALUES (:topic, CAST(:id AS text))
            ON CONFLICT (topic, key) DO UPDATE
               SET state = 'pending', done_at = NULL, run_at = clock_timestamp()
             WHERE outbox.state = 'done'
                OR (outbox.state = 'pending' AND outbox.run_at > clock_timestamp())"""),
        {"topic": DELIVER, "id": delivery_id},
    )
    if queued.rowcount == 0:
        return False
    connection.execute(
        text("""
            UPDATE deliveries SET delivered_at = NULL, given_up_at = NULL
             WHERE id = :id"""),
        {"id": delivery_id},
    )
    return True


def delivery(connection: Connection, delivery_id: int) -> Delivery | None:
    """One delivery; None where there is none, or its webhook was taken away."""
    webhook_id = connection.execute(
        text("""
            SELECT w.id FROM deliveries AS d JOIN webhooks AS w ON w.id = d.webhook_id
             WHERE d.id = :id AND w.deleted_at IS NULL"""),
        {"id": delivery_id},
    ).scalar_one_or_none()
    if webhook_id is None:
        return None
    # The newest from behind the one after it is itself.
    (found,) = deliveries(connection, webhook_id, before=delivery_id + 1, limit=1)
    return found
