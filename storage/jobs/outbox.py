"""The outbox: what must still happen once a transaction has committed.

An entry is put in by the transaction that causes it, taken under a lease by a
worker, and done in the same transaction as its effect. It lives like a chunk: the
broker only carries its id.
"""

from typing import NamedTuple

from sqlalchemy import Connection, text


class Taken(NamedTuple):
    """An entry that this worker holds; `attempt` fences whoever comes late."""

    id: int
    topic: str
    key: str
    attempt: int


def put(connection: Connection, topic: str, key: str) -> None:
    """Add what must happen, once for each topic and key."""
    connection.execute(
        text("""
            INSERT INTO outbox (topic, key) VALUES (:topic, :key)
            ON CONFLICT (topic, key) DO NOTHING"""),
        {"topic": topic, "key": key},
    )


def take(
    connection: Connection,
    entry_id: int,
    *,
    owner: str,
    lease_s: float,
) -> Taken | None:
    """Hold an entry for `lease_s`; None where it is held, or done, or not yet due."""
    row = connection.execute(
        text("""
            UPDATE outbox
               SET state = 'running', attempt = attempt + 1, owner = :owner,
                   dispatched_at = NULL,
                   lease_until = clock_timestamp() + make_interval(secs => :lease_s)
             WHERE id = :id AND (state = 'dispatched'
                OR (state = 'pending' AND run_at <= clock_timestamp()))
            RETURNING id, topic, key, attempt"""),
        {"id": entry_id, "owner": owner, "lease_s": lease_s},
    ).one_or_none()
    return None if row is None else Taken(*row)


_TAKE_NEW = text("""
UPDATE outbox
   SET state = 'running', attempt = attempt + 1, owner = :owner,
       lease_until = clock_timestamp() + make_interval(secs => :lease_s)
 WHERE topic = :topic AND key = :key AND state = 'pending' AND attempt = 0
RETURNING id, topic, key, attempt
""")


def take_new(
    connection: Connection, topic: str, key: str, *, owner: str, lease_s: float
) -> Taken | None:
    """Hold an entry that this transaction has put in, for `lease_s`."""
    row = connection.execute(
        _TAKE_NEW,
        {"topic": topic, "key": key, "owner": owner, "lease_s": lease_s},
    ).one_or_none()
    return None if row is None else Taken(*row)


def renew(connection: Connection, taken: Taken, *, lease_s: float) -> bool:
    """Hold an entry for longer; False where somebody else holds it now."""
    moved = connection.execute(
        text("""
            UPDATE outbox
               SET lease_until = clock_timestamp() + make_interval(secs => :lease_s)
             WHERE id = :id AND attempt = :attempt AND state = 'running'"""),
        {"id": taken.id, "attempt": taken.attempt, "lease_s": lease_s},
    )
    return moved.rowcount == 1


_DONE = text("""
UPDATE outbox SET state = 'done', lease_until = NULL, owner = NULL,
       done_at = clock_timestamp(), last_error = NULL
 WHERE id = :id AND attempt = :attempt AND state = 'running'
""")


def done(connection: Connection, taken: Taken) -> bool:
    """Mark an entry as done; False where somebody else holds it now."""
    moved = connection.execute(
        _DONE,
        {"id": taken.id, "attempt": taken.attempt},
    )
    return moved.rowcount == 1


def withdraw(connection: Connection, topic: str, key: str) -> bool:
    """Let an entry never be run again; whoever runs it now is fenced off.

    False where it is done, or was never there.
    """
    moved = connection.execute(
        text("""
            UPDATE outbox SET state = 'done', attempt = attempt + 1, lease_until = NULL,
                   owner = NULL, done_at = clock_timestamp(), last_error = 'withdrawn'
             WHERE topic = :topic AND key = :key AND state <> 'done'"""),
        {"topic": topic, "key": key},
    )
    return moved.rowcount == 1


def give_back(
    connection: Connection,
    taken: Taken,
    *,
    delay_s: float,
    error: str,
) -> bool:
    """Let an entry be tried again after `delay_s`."""
    moved = connection.execute(
        text("""
            UPDATE outbox SET state = 'pending', lease_until = NULL, owner = NULL,
                   last_error = :error,
                   run_at = clock_timestamp() + make_interval(secs => :delay_s)
             WHERE id = :id AND attempt = :attempt AND state = 'running'"""),
        {"id": taken.id, "attempt": taken.attempt, "delay_s": delay_s, "error": error},
    )
    return moved.rowcount == 1


def requeue(connection: Connection, topic: str | None = None) -> int:
    """Let what waits after a failure, of one topic if asked, be due now; how much.

    Nobody is waited for who holds one of them at this moment.
    """
    moved = connection.execute(
        text("""
            UPDATE outbox SET run_at = clock_timestamp()
             WHERE id IN (
               SELECT id FROM outbox
                WHERE state = 'pending' AND last_error IS NOT NULL
                  AND run_at > clock_timestamp()
                  AND (CAST(:topic AS text) IS NULL OR topic = :topic)
                ORDER BY id FOR NO KEY UPDATE SKIP LOCKED)"""),
        {"topic": topic},
    )
    return moved.rowcount
