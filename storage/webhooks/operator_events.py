"""Events for the operator: what the house itself has found, of no license.

Put in by the transaction that finds it, with an outbox entry that later tells the
operator's webhook, where the settings name one.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, text

DELIVER = "operator.deliver"
"""The outbox topic under which the operator is told; its key is the event's id."""


class OperatorEventType(StrEnum):
    """What an operator is told of."""

    AUDIT_VIOLATED = "audit.violated"


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorEvent:
    """An event, and the second to sign it in."""

    id: str
    type: str
    data: dict[str, Any]
    created_at: datetime
    unix_s: int


def put(
    connection: Connection, type_: OperatorEventType, subject: str, data: dict[str, Any]
) -> None:
    """Say that something was found, once of each subject."""
    connection.execute(
        text("""
            WITH found AS (
              INSERT INTO operator_events (id, type, subject, data)
              VALUES ('evt_' || replace(CAST(gen_random_uuid() AS text), '-', ''),
                      :type, :subject, CAST(:data AS jsonb))
              ON CONFLICT (type, subject) DO NOTHING
              RETURNING id)
            INSERT INTO outbox (topic, key) SELECT :topic, id FROM found"""),
        {
            "type": type_.value,
            "subject": subject,
            "data": json.dumps(data),
            "topic": DELIVER,
        },
    )


def get(connection: Connection, event_id: str) -> OperatorEvent:
    """The event of this id."""
    row = connection.execute(
        text("""
            SELECT id, type, data, created_at,
                   CAST(extract(epoch FROM clock_timestamp()) AS bigint) AS unix_s
              FROM operator_events WHERE id = :event_id"""),
        {"event_id": event_id},
    ).one()
    return OperatorEvent(**row._asdict())


def forget(connection: Connection, *, after_s: float, limit: int) -> int:
    """Remove events of so long ago that nobody is to be told of any more."""
    return connection.execute(
        text("""
            DELETE FROM operator_events WHERE id IN (
              SELECT id FROM operator_events AS e
               WHERE created_at
                   < (SELECT clock_timestamp() - make_interval(secs => :after_s))
                 AND NOT EXISTS (
                     SELECT 1 FROM outbox WHERE topic = :topic AND key = e.id
                        AND state <> 'done')
               ORDER BY created_at LIMIT :limit)"""),
        {"after_s": after_s, "limit": limit, "topic": DELIVER},
    ).rowcount
