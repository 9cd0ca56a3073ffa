"""Files that no row names any more, until they are gone.

Whoever takes a file's name out of a row marks it here, in the same transaction; it is
removed afterwards, with none open. What a crash leaves in between stands here still.
"""

from collections.abc import Collection

from sqlalchemy import Connection, text


def mark(connection: Connection, names: Collection[str]) -> None:
    """Let these go, once the transaction has committed; a folder ends in a slash."""
    if names:
        connection.execute(
            text("""
                INSERT INTO removals (name) SELECT unnest(CAST(:names AS text[]))
                ON CONFLICT (name) DO NOTHING"""),
            {"names": list(names)},
        )


def marked(connection: Connection, *, limit: int) -> list[str]:
    """What is to be removed, the longest marked first."""
    return list(
        connection.execute(
            text("SELECT name FROM removals ORDER BY marked_at, name LIMIT :limit"),
            {"limit": limit},
        ).scalars(),
    )


def gone(connection: Connection, names: Collection[str]) -> None:
    """Forget what has been removed."""
    connection.execute(
        text("DELETE FROM removals WHERE name = ANY(CAST(:names AS text[]))"),
        {"names": list(names)},
    )
