"""How workers fare with what the broker gives them: what they dropped, how they ended.

A worker that ends soon after its start, again and again, ends on something that stands
in the broker. Its start is noted, and forgotten once it has lasted or was told to stop.
"""

from collections.abc import Mapping

from sqlalchemy import Connection, text


def count_dropped(
    connection: Connection, counts: Mapping[tuple[str, str], int]
) -> None:
    """Add to how many messages were dropped, by queue and reason."""
    for (queue, reason), count in sorted(counts.items()):
        connection.execute(
            text("""
                INSERT INTO dropped_messages (queue, reason, count)
                VALUES (:queue, :reason, :count)
                ON CONFLICT (queue, reason) DO UPDATE
                   SET count = dropped_messages.count + excluded.count,
                       last_at = clock_timestamp()"""),
            {"queue": queue, "reason": reason, "count": count},
        )


def dropped(connection: Connection) -> dict[tuple[str, str], int]:
    """How many messages were dropped so far, by queue and reason."""
    rows = connection.execute(text("SELECT queue, reason, count FROM dropped_messages"))
    return {(queue, reason): count for queue, reason, count in rows}


def started(connection: Connection, process_id: str) -> None:
    """Note that a worker begins to consume."""
    connection.execute(
        text("INSERT INTO worker_starts (id) VALUES (:id) ON CONFLICT DO NOTHING"),
        {"id": process_id},
    )


def failed(connection: Connection, process_id: str, error: str) -> None:
    """Note that a worker ends, and not because it was told to."""
    connection.execute(
        text("""
            INSERT INTO worker_starts (id, failed_at, error)
            VALUES (:id, clock_timestamp(), :error)
            ON CONFLICT (id) DO UPDATE
               SET failed_at = excluded.failed_at, error = excluded.error"""),
        {"id": process_id, "error": error},
    )


def lasted(connection: Connection, process_id: str) -> None:
    """Forget the start of a worker that lasted, or was told to stop."""
    connection.execute(
        text("DELETE FROM worker_starts WHERE id = :id AND failed_at IS NULL"),
        {"id": process_id},
    )


def failures(connection: Connection, *, silent_s: float, within_s: float) -> int:
    """How many workers ended soon after their start, within this time.

    One that has neither lasted nor been heard of again `silent_s` after its start has
    ended too hard to say so.
    """
    connection.execute(
        text("""
            DELETE FROM worker_starts WHERE started_at
                   < clock_timestamp() - make_interval(secs => :within_s)"""),
        {"within_s": within_s},
    )
    count: int = connection.execute(
        text("""
            SELECT count(*) FROM worker_starts
             WHERE failed_at IS NOT NULL OR started_at
                   < clock_timestamp() - make_interval(secs => :silent_s)"""),
        {"silent_s": silent_s},
    ).scalar_one()
    return count


def forget_failures(connection: Connection) -> None:
    """Begin to count anew."""
    connection.execute(text("DELETE FROM worker_starts"))
