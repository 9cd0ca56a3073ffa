"""When the dispatcher did each of its chores last: a sweep that is silent shows."""

from sqlalchemy import Connection, text


def note(connection: Connection, name: str) -> None:
    """Note that a chore was done."""
    connection.execute(
        text("""
            INSERT INTO chore_runs (name) VALUES (:name)
            ON CONFLICT (name) DO UPDATE SET done_at = clock_timestamp()"""),
        {"name": name},
    )
