"""Secrets that are kept encrypted, wherever they stand, to be encrypted anew."""

from typing import NamedTuple

from sqlalchemy import Connection, text

_PLACES = {"connections": "secrets", "webhooks": "secret"}
"""The column of each table that holds one."""


class Sealed(NamedTuple):
    """One encrypted secret, and the row that holds it."""

    table: str
    id: str
    secret: str


def every(connection: Connection) -> list[Sealed]:
    """All that are still needed."""
    return [
        Sealed(table, *row)
        for table, column in _PLACES.items()
        for row in connection.execute(
            text(f"""
                SELECT id, {column} FROM {table}
                 WHERE deleted_at IS NULL ORDER BY id"""),  # noqa: S608 - two constants
        )
    ]


def replace(connection: Connection, old: Sealed, fresh: str) -> bool:
    """Keep a secret as encrypted anew; False where somebody has changed it since."""
    column = _PLACES[old.table]
    moved = connection.execute(
        text(f"""
            UPDATE {old.table} SET {column} = :fresh
             WHERE id = :id AND {column} = :old"""),  # noqa: S608 - two constants
        {"id": old.id, "old": old.secret, "fresh": fresh},
    )
    return moved.rowcount == 1
