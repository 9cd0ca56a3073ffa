"""Texts that were erased: they and their salts are gone, and it is shown by whom.

The digest stays in the seal. Without its salt nobody can try words against it.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, text


class Erasure(NamedTuple):
    """That the words of a row were erased, with what shows that the house did it."""

    table: str
    row_id: int
    erased_at: datetime
    key_id: str
    seal: bytes


def reasons_of(
    connection: Connection, person_id: str, license_id: str | None
) -> list[int]:
    """The refunded charges of a person for which somebody wrote a reason."""
    rows = connection.execute(
        text("""
            SELECT r.charge_id FROM refunds AS r
              JOIN charges AS c ON c.id = r.charge_id
             WHERE c.item <> 'company' AND holdfast_trimmed(c.subject) = :person_id
               AND (:license_id = '' OR r.license_id = :license_id)
               AND r.reason <> ''
             ORDER BY r.charge_id"""),
        {"person_id": person_id, "license_id": license_id or ""},
    )
    return list(rows.scalars())


def put(connection: Connection, erasure: Erasure) -> None:
    """Note an erasure, and remove the words and their salt; again changes nothing."""
    row = {"table": erasure.table, "row_id": erasure.row_id}
    noted = connection.execute(
        text("""
            INSERT INTO chain_erasures (table_name, row_id, erased_at, key_id, seal)
            VALUES (:table, :row_id, :erased_at, :key_id, :seal)
            ON CONFLICT (table_name, row_id) DO NOTHING RETURNING row_id"""),
        erasure._asdict(),
    ).one_or_none()
    if noted is None:
        return
    connection.execute(
        text("""
            UPDATE chain_texts SET salt = NULL
             WHERE table_name = :table AND row_id = :row_id"""),
        row,
    )
    connection.execute(
        text("UPDATE refunds SET reason = '' WHERE charge_id = :row_id"), row
    )


def every(connection: Connection) -> Iterator[Erasure]:
    """All erasures, by table and row."""
    rows = connection.execute(
        text("""
            SELECT table_name, row_id, erased_at, key_id, seal FROM chain_erasures
             ORDER BY table_name, row_id""")
    )
    yield from map(Erasure._make, rows)
