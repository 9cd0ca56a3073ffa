"""Secrets that are kept encrypted, wherever they stand, to be encrypted anew."""

from typing import NamedTuple

from sqlalchemy import Connection, text

_PLACES = {
    "connections": ("secrets", "deleted_at IS NULL"),
    "webhooks": ("secret", "deleted_at IS NULL"),
    "replaced_secrets": ("secret", "true"),
    "derivation_keys": ("secret", "true"),
}
"""The column of each table that holds one, and where it is still needed.

Webhooks come before what was replaced of theirs: a secret that is replaced meanwhile is
found there.
"""


class Sealed(NamedTuple):
    """One encrypted secret, and the row that holds it."""

    table: str
    id: str | int
    secret: str


def every(connection: Connection) -> list[Sealed]:
    """All that are still needed; nobody replaces one until the transaction ends."""
    return [
        Sealed(table, *row)
        for table, (column, needed) in _PLACES.items()
        for row in connection.execute(
            text(f"""
                SELECT id, {column} FROM {table}
                 WHERE {needed} ORDER BY id FOR NO KEY UPDATE"""),  # noqa: S608 - constants
        )
    ]


def replace(connection: Connection, old: Sealed, fresh: str) -> bool:
    """Keep a secret as encrypted anew; False where somebody has changed it since."""
    column, _ = _PLACES[old.table]
    moved = connection.execute(
        text(f"""
            UPDATE {old.table} SET {column} = :fresh
             WHERE id = :id AND {column} = :old"""),  # noqa: S608 - two constants
        {"id": old.id, "old": old.secret, "fresh": fresh},
    )
    return moved.rowcount == 1
