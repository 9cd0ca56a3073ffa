"""Which workers and dispatchers are alive, by what they last reported."""

from collections.abc import Sequence

from sqlalchemy import Connection, text


def report(
    connection: Connection, process_id: str, role: str, queues: Sequence[str] = ()
) -> None:
    """Say that a process is alive, and which queues of the broker it reads.

    `process_id` is unique to its boot.
    """
    connection.execute(
        text("""
            INSERT INTO processes (id, role, queues) VALUES (:id, :role, :queues)
            ON CONFLICT (id) DO UPDATE SET seen_at = clock_timestamp()"""),
        {"id": process_id, "role": role, "queues": list(queues)},
    )


def is_read(connection: Connection, queue: str, *, within_s: float) -> bool:
    """Whether all workers that reported within this time read a queue, and any did."""
    read: bool = connection.execute(
        text("""
            SELECT coalesce(bool_and(:queue = ANY (coalesce(queues, '{}'))), false)
              FROM processes
             WHERE role = 'worker'
               AND seen_at > clock_timestamp() - make_interval(secs => :within_s)"""),
        {"queue": queue, "within_s": within_s},
    ).scalar_one()
    return read


def any_reads(connection: Connection, queue: str, *, within_s: float) -> bool:
    """Whether any worker that reported within this time reads a queue."""
    read: bool = connection.execute(
        text("""
            SELECT EXISTS (
              SELECT FROM processes
               WHERE role = 'worker' AND :queue = ANY (queues)
                 AND seen_at
                     > clock_timestamp() - make_interval(secs => :within_s))"""),
        {"queue": queue, "within_s": within_s},
    ).scalar_one()
    return read


def leave(connection: Connection, process_id: str) -> None:
    """Say that a process ended."""
    connection.execute(
        text("DELETE FROM processes WHERE id = :id"),
        {"id": process_id},
    )


def alive(connection: Connection, *, within_s: float) -> set[str]:
    """The roles of which at least one process reported within this time."""
    rows = connection.execute(
        text("""
            SELECT DISTINCT role FROM processes
             WHERE seen_at > clock_timestamp() - make_interval(secs => :within_s)"""),
        {"within_s": within_s},
    )
    return set(rows.scalars())


def forget_silent(connection: Connection, *, after_s: float) -> int:
    """Remove processes that were not heard of for so long."""
    gone = connection.execute(
        text("""
            DELETE FROM processes
             WHERE seen_at < clock_timestamp() - make_interval(secs => :after_s)"""),
        {"after_s": after_s},
    )
    return gone.rowcount
