"""One job in detail: what was rejected and why, and who was told of its end."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, text

from storage.webhooks.events import EventType


class RejectionGroup(NamedTuple):
    """All records that were rejected for one reason, and one of them."""

    code: str
    records: int
    record: int
    message: str | None


def rejections(connection: Connection, job_id: str) -> list[RejectionGroup]:
    """What was rejected, by code, the most first."""
    rows = connection.execute(
        text("""
            SELECT code, count(*), min(record),
                   (array_agg(message ORDER BY record))[1]
              FROM outcomes WHERE job_id = :job_id AND outcome = 'rejected'
             GROUP BY code ORDER BY count(*) DESC, code"""),
        {"job_id": job_id},
    )
    return [RejectionGroup(*row) for row in rows]


class ToldAttempt(NamedTuple):
    """One request to a webhook."""

    attempted_at: datetime
    status: int | None
    error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An event of a job for one webhook; `next_attempt_at` where it is still due."""

    delivery_id: int
    webhook_id: str
    url: str
    type: str
    created_at: datetime
    delivered_at: datetime | None
    given_up_at: datetime | None
    next_attempt_at: datetime | None
    attempts: Sequence[ToldAttempt]


def told(connection: Connection, job_id: str) -> list[Told]:
    """Whom a job's events were delivered to, and how often that was tried."""
    rows = connection.execute(
        text("""
            SELECT d.id AS delivery_id, w.id AS webhook_id, w.url, e.type, e.created_at,
                   d.delivered_at, d.given_up_at, o.run_at AS next_attempt_at,
                   ARRAY(SELECT jsonb_build_array(attempted_at, status, error)
                           FROM delivery_attempts WHERE delivery_id = d.id
                          ORDER BY id) AS attempts
              FROM events AS e JOIN deliveries AS d ON d.event_id = e.id
              JOIN webhooks AS w ON w.id = d.webhook_id
              LEFT JOIN outbox AS o ON o.topic = 'webhook.deliver'
                   AND o.key = CAST(d.id AS text) AND o.state <> 'done'
             WHERE e.type = ANY (:types) AND e.subject = :job_id
             ORDER BY e.created_at, d.id"""),
        {"job_id": job_id, "types": [str(one) for one in EventType]},
    )
    return [
        Told(**{**row, "attempts": [_attempt(one) for one in row["attempts"]]})
        for row in rows.mappings()
    ]


def _attempt(one: tuple[str, int | None, str | None]) -> ToldAttempt:
    at, status, error = one
    return ToldAttempt(datetime.fromisoformat(at), status, error)
