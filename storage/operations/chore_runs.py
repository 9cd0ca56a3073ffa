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


def ages_s(connection: Connection) -> dict[str, float]:
    """For how many seconds each chore was not done, of those that ever were."""
    rows = connection.execute(
        text("""
            SELECT name, extract(epoch FROM clock_timestamp() - done_at) AS age_s
              FROM chore_runs""")
    )
    return {row.name: float(row.age_s) for row in rows}
