"""The house's own data on persons: loaded from JSON Lines, looked up by id."""

import json
from collections.abc import Collection, Iterable
from typing import NamedTuple

from sqlalchemy import Connection, text

from pricing.findings import EmailStatus, Finding


class Entry(NamedTuple):
    """What the house knows of one person."""

    person_id: str
    email: str | None
    email_status: EmailStatus
    phone: str | None


def load(connection: Connection, entries: Iterable[Entry]) -> int:
    """Add or replace entries by person; of the same person twice, the last counts.

    Whoever was erased is left out. Returns how many persons were written. All or
    nothing, like its transaction.
    """
    connection.execute(
        text("""
            CREATE TEMPORARY TABLE directory_load (
              line bigint GENERATED ALWAYS AS IDENTITY, person_id text COLLATE "C",
              email text, email_status text, phone text) ON COMMIT DROP"""),
    )
    driver = connection.connection.driver_connection
    assert driver is not None  # noqa: S101 - for the type: a pooled connection is open
    with (
        driver.cursor() as cursor,
        cursor.copy(
            "COPY directory_load (person_id, email, email_status, phone) FROM STDIN",
        ) as copy,
    ):
        for entry in entries:
            copy.write_row(entry)
    # Whoever is being erased at this moment waits, and then finds what this has left.
    connection.execute(text("LOCK TABLE erasures IN SHARE MODE"))
    written = connection.execute(
        text("""
            INSERT INTO directory (person_id, email, email_status, phone)
            SELECT DISTINCT ON (person_id) person_id, email, email_status, phone
              FROM directory_load
             WHERE NOT EXISTS (SELECT 1 FROM erasures AS e WHERE e.license_id = ''
                                  AND e.person_id = directory_load.person_id)
             ORDER BY person_id, line DESC
            ON CONFLICT (person_id) DO UPDATE
              SET email = excluded.email, email_status = excluded.email_status,
                  phone = excluded.phone"""),
    )
    return written.rowcount


_LOOK_UP = text("""
SELECT d.person_id, d.email, d.email_status, d.phone
  FROM json_array_elements_text(CAST(:persons AS json)) AS asked (person_id)
  JOIN directory AS d ON d.person_id = asked.person_id COLLATE "C"
""")


def look_up(connection: Connection, persons: Collection[str]) -> dict[str, Finding]:
    """What is known of these persons; whoever is unknown is not in the answer."""
    rows = connection.execute(_LOOK_UP, {"persons": json.dumps(list(persons))})
    return {
        person_id: Finding(email, EmailStatus(status), phone)
        for person_id, email, status, phone in rows
    }


_KNOWN = text("""
SELECT d.person_id
  FROM json_array_elements_text(CAST(:persons AS json)) AS asked (person_id)
  JOIN directory AS d ON d.person_id = asked.person_id COLLATE "C"
""")


def known(connection: Connection, persons: Collection[str]) -> set[str]:
    """Which of these ids the directory knows: for them the id alone decides."""
    if not persons:
        return set()
    return set(
        connection.execute(_KNOWN, {"persons": json.dumps(list(persons))}).scalars(),
    )
