"""Events: what happened that a license may want to be told of, each of them once.

An event is put in by the transaction that causes it, with an outbox entry that later
hands it to the license's webhooks. It holds what could not be found out afterwards.
An ended job can, and its file's link would grow old here: of a job the event keeps
the id alone, and the job is looked up whenever it is delivered.
"""

import json
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, text

FAN_OUT = "event.fan_out"
"""The outbox topic under which an event is handed to its webhooks."""


class EventType(StrEnum):
    """What a webhook can be told of."""

    JOB_FINISHED = "job.finished"
    CREDITS_LOW = "credits.low"
    RESERVATION_EXPIRED = "reservation.expired"
    PERIOD_CLOSED = "period.closed"
    PERIOD_REOPENED = "period.reopened"
    REFUND_BOOKED = "refund.booked"
    REFUND_AWAITING_APPROVAL = "refund.awaiting_approval"
    REFUND_REJECTED = "refund.rejected"
    BALANCE_THRESHOLD = "balance.threshold"
    STATEMENT_FROZEN = "statement.frozen"


_PUT = text("""
WITH happened AS (
  INSERT INTO events (id, license_id, type, subject, data, created_at)
  VALUES ('evt_' || replace(CAST(gen_random_uuid() AS text), '-', ''), :license_id,
          :type, :subject, CAST(:data AS jsonb), holdfast_now())
  ON CONFLICT (type, subject) DO NOTHING
  RETURNING id, type),
told AS (
  INSERT INTO outbox (topic, key)
  SELECT :topic, id FROM happened
   WHERE EXISTS (SELECT FROM webhooks AS w
                  WHERE w.license_id = :license_id AND w.deleted_at IS NULL
                    AND happened.type = ANY (w.events)))
SELECT id FROM happened
""")


def put(
    connection: Connection,
    license_id: str,
    type_: EventType,
    subject: str,
    data: dict[str, Any],
) -> bool:
    """Say that something happened; False where this has been said of its subject.

    What no webhook of the license wants to know is kept, and handed to nobody.
    """
    added = connection.execute(
        _PUT,
        {
            "license_id": license_id,
            "type": type_.value,
            "subject": subject,
            "data": json.dumps(data),
            "topic": FAN_OUT,
        },
    )
    return added.one_or_none() is not None


def job_finished(connection: Connection, job_id: str, license_id: str) -> None:
    """A job has ended, in whichever state."""
    put(connection, license_id, EventType.JOB_FINISHED, job_id, {"job": job_id})


def reservation_expired(connection: Connection, job_id: str) -> None:
    """A job is cancelled because its reservation has passed its deadline."""
    row = connection.execute(
        text("""
            SELECT license_id, amount, settled, deadline_at FROM reservations
             WHERE job_id = :job_id"""),
        {"job_id": job_id},
    ).one()
    data = {
        "license": row.license_id,
        "job": job_id,
        "reserved": row.amount,
        "settled": row.settled,
        "deadline_at": _instant(row.deadline_at),
    }
    put(connection, row.license_id, EventType.RESERVATION_EXPIRED, job_id, data)


def credits_low(connection: Connection, license_id: str, *, share: float) -> bool:
    """Warn where less than a share of what was granted is available, once a period.

    Whoever has just reserved or spent calls it, and holds the period's lock.
    """
    row = connection.execute(
        text("""
            SELECT id, starts_at, ends_at, granted, available
              FROM periods, LATERAL (
                   SELECT granted - reserved - spent - expired AS available) AS left_
             WHERE id = holdfast_running_period(:license_id)
               AND available
                 < CAST(CAST(:share AS double precision) AS numeric) * granted"""),
        {"license_id": license_id, "share": share},
    ).one_or_none()
    if row is None:
        return False
    data = {
        "license": license_id,
        "starts_at": _instant(row.starts_at),
        "ends_at": _instant(row.ends_at),
        "granted": row.granted,
        "available": row.available,
    }
    return put(connection, license_id, EventType.CREDITS_LOW, str(row.id), data)


def of_period(period_id: int, reopened: int) -> str:
    """The subject of a period's events: one that was reopened ends once more."""
    return f"{period_id}:{reopened}" if reopened else str(period_id)


def period_closed(
    connection: Connection,
    license_id: str,
    subject: str,
    *,
    starts_at: datetime,
    ends_at: datetime,
    **credits_: int,
) -> None:
    """A period has ended with these credits; what open jobs hold is yet to come."""
    data = {
        "license": license_id,
        "starts_at": _instant(starts_at),
        "ends_at": _instant(ends_at),
        **credits_,
    }
    put(connection, license_id, EventType.PERIOD_CLOSED, subject, data)


def period_reopened(
    connection: Connection,
    license_id: str,
    subject: str,
    *,
    starts_at: datetime,
    ends_at: datetime,
    **credits_: int,
) -> None:
    """A period that had ended wrongly runs again; what had expired is available."""
    data = {
        "license": license_id,
        "starts_at": _instant(starts_at),
        "ends_at": _instant(ends_at),
        **credits_,
    }
    put(connection, license_id, EventType.PERIOD_REOPENED, subject, data)


def statement_frozen(
    connection: Connection,
    license_id: str,
    subject: str,
    *,
    starts_at: datetime,
    ends_at: datetime,
    **told: object,
) -> None:
    """A run of a closed period's statement stands for good; others supplement it.

    `told` is which run, what it leaves, and what a copy of it can be held to.
    """
    data = {
        "license": license_id,
        "starts_at": _instant(starts_at),
        "ends_at": _instant(ends_at),
        **told,
    }
    put(connection, license_id, EventType.STATEMENT_FROZEN, subject, data)


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
