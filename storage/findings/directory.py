"""Our own data on persons: loaded from JSON Lines, looked up by id."""

from collections.abc import Collection, Iterable
from typing import NamedTuple

from sqlalchemy import (
    ARRAY,
    JSON,
    Connection,
    Text,
    bindparam,
    cast,
    func,
    select,
    text,
)

from pricing.claims import DERIVED
from pricing.findings import EmailStatus
from storage import tables
from storage.array_literals import array

NAME = "directory"
"""What the directory is called among those who find."""


class Entry(NamedTuple):
    """What we know of one person."""

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
    # Entries of before may have white space around their id: these replace them.
    connection.execute(
        text("""
            DELETE FROM directory AS d USING directory_load AS l
             WHERE d.person_id <> holdfast_trimmed(d.person_id)
               AND holdfast_trimmed(d.person_id) = l.person_id"""),
    )
    written = connection.execute(
        text("""
            INSERT INTO directory (person_id, email, email_status, phone)
            SELECT DISTINCT ON (person_id) person_id, email, email_status, phone
              FROM directory_load
             WHERE NOT EXISTS (SELECT 1 FROM erasures AS e WHERE e.license_id = ''
                                  AND holdfast_trimmed(e.person_id)
                                      = directory_load.person_id)
             ORDER BY person_id, line DESC
            ON CONFLICT (person_id) DO UPDATE
              SET email = excluded.email, email_status = excluded.email_status,
                  phone = excluded.phone"""),
    )
    return written.rowcount


_ENTRY = tables.directory.c
_ASKED = func.unnest(
    cast(bindparam("persons", type_=Text()), ARRAY(Text()))
).column_valued("asked")
# As one array, in the key's own order: the index is walked once where ids stand
# together, not once for each of them.
_IS_ASKED = _ENTRY.person_id == func.any(
    func.array(select(_ASKED.collate("C")).scalar_subquery())
)
# One value a column: a row for each id would cost more than finding them.
_LOOK_UP = select(
    *(
        func.json_agg(column, type_=JSON)
        for column in (
            _ENTRY.person_id,
            _ENTRY.email,
            _ENTRY.email_status,
            _ENTRY.phone,
        )
    )
).where(_IS_ASKED)
_KNOWN = select(func.json_agg(_ENTRY.person_id, type_=JSON)).where(_IS_ASKED)


_STATUSES = {status.value: status for status in EmailStatus}


def look_up(
    connection: Connection, persons: Collection[str]
) -> dict[str, tuple[str | None, EmailStatus, str | None]]:
    """Address, its status and phone number of those of these persons that are known."""
    asked = _without_derived(persons)
    if not asked:
        return {}
    columns = connection.execute(_LOOK_UP, {"persons": array(asked)}).one()
    ids, emails, statuses, phones = (column or () for column in columns)
    known = zip(emails, map(_STATUSES.__getitem__, statuses), phones, strict=True)
    return dict(zip(ids, known, strict=True))


def known(connection: Connection, persons: Collection[str]) -> set[str]:
    """Which of these ids the directory knows: for them the id alone decides."""
    asked = _without_derived(persons)
    if not asked:
        return set()
    return set(connection.execute(_KNOWN, {"persons": array(asked)}).scalar() or ())


def _without_derived(persons: Collection[str]) -> list[str]:
    """Those of the client's own: an id that was derived is of one license alone."""
    return [one for one in persons if not one.startswith(DERIVED)]
