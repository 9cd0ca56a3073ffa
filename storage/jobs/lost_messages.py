"""Which messages the broker has lost: a rule over how many it still holds.

A broker gives out first what it was given first. So of the rows that were handed to
it, as many as messages wait there are the ones that were sent last; one that was sent
before those has left the broker, and if nobody has taken it a while later, it is lost.
Where more messages wait than rows (copies, or what others put there) none counts as
lost until they have been drained. Whoever sends only what is lost never has more
messages waiting than rows.
"""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, text

CHUNKS = "chunks"
OUTBOX = "outbox"


class Sent(NamedTuple):
    """The rows of a table that were handed to the broker, or to one queue of it."""

    table: str
    queue: str | None = None

    @property
    def rows(self) -> str:
        """What holds for each of them."""
        ours = "" if self.queue is None else " AND sent_to = :queue"
        return f"state = 'dispatched'{ours}"


def instant(connection: Connection) -> datetime:
    """The instant, by the database's clock, before which messages are asked after."""
    at: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
    return at


def oldest_sent_s(connection: Connection, sent: Sent) -> float:
    """For how long the oldest of these rows has been in the broker; 0 if none is."""
    age_s = connection.execute(
        text(f"""
            SELECT coalesce(max(extract(epoch FROM
                                        clock_timestamp() - dispatched_at)), 0)
              FROM {sent.table} WHERE {sent.rows}"""),  # noqa: S608 - constants only
        {"queue": sent.queue} if sent.queue else {},
    ).scalar_one()
    return float(age_s)


def bring_back(
    connection: Connection,
    sent: Sent,
    *,
    messages: int,
    asked_at: datetime,
    after_s: float,
) -> int:
    """Let rows wait again whose message is lost; return how many there were.

    `messages` were waiting in the broker when it was asked, which was after `asked_at`.
    """
    table, rows = sent.table, sent.rows
    moved = connection.execute(
        text(f"""
            WITH sent AS (
              SELECT id, dispatched_at,
                     row_number() OVER (ORDER BY dispatched_at DESC, id DESC) AS place
                FROM {table}
               WHERE {rows} AND dispatched_at <= :asked_at)
            UPDATE {table} SET state = 'pending', dispatched_at = NULL
             WHERE state = 'dispatched' AND id IN (
               SELECT {table}.id FROM {table} JOIN sent USING (id, dispatched_at)
                WHERE place > :messages AND {table}.state = 'dispatched'
                  AND {table}.dispatched_at
                      < clock_timestamp() - make_interval(secs => :after_s)
                ORDER BY {table}.id FOR NO KEY UPDATE OF {table} SKIP LOCKED)"""),  # noqa: S608 - constants only
        {"messages": messages, "asked_at": asked_at, "after_s": after_s}
        | ({"queue": sent.queue} if sent.queue else {}),
    )
    return moved.rowcount


def bring_back_all(connection: Connection, *, before: datetime) -> int:
    """Let all rows wait again that were sent before the broker was emptied."""
    count = 0
    for table in (CHUNKS, OUTBOX):
        moved = connection.execute(
            text(f"""
                UPDATE {table} SET state = 'pending', dispatched_at = NULL
                 WHERE id IN (
                   SELECT id FROM {table}
                    WHERE state = 'dispatched' AND dispatched_at <= :before
                    ORDER BY id FOR NO KEY UPDATE SKIP LOCKED)"""),  # noqa: S608 - two constants
            {"before": before},
        )
        count += moved.rowcount
    return count


def still_waits(connection: Connection, table: str, row_id: int) -> bool:
    """Whether a row waits for the message that is about it; a copy comes too late."""
    found: bool = connection.execute(
        text(f"""
            SELECT EXISTS (SELECT 1 FROM {table} WHERE id = :id
                              AND state IN ('pending', 'dispatched'))"""),  # noqa: S608 - two constants
        {"id": row_id},
    ).scalar_one()
    return found
