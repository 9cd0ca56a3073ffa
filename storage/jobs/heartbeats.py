"""Which workers and dispatchers are alive, by what they last reported."""

from sqlalchemy import Connection, text


def report(connection: Connection, process_id: str, role: str) -> None:
    """Say that a process is alive; `process_id` is unique to its boot."""
    connection.execute(
        text("""
            INSERT INTO processes (id, role) VALUES (:id, :role)
            ON CONFLICT (id) DO UPDATE SET seen_at = clock_timestamp()"""),
        {"id": process_id, "role": role},
    )


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
