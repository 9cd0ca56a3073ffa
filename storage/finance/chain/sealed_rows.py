"""The rows that a run seals: which columns of which tables, in which order.

A row is sealed as PostgreSQL itself sends a record: the number of its columns, and of
each its type, its length and its value. What people wrote, which may be erased later,
is replaced by a salted digest of it.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

from sqlalchemy import Connection, text

from storage.database import stream

FORMAT = 1
"""By which runs are sealed from now on. A table that gets a column needs a new one, and
the former ones stay: what was sealed by them is checked by them."""

TABLES = ("charges", "refunds", "transfers")
"""In the order in which the rows of one transaction are sealed."""

KEY_OF: Mapping[str, str] = MappingProxyType(
    {"charges": "id", "refunds": "charge_id", "transfers": "id"}
)

SEALED: Mapping[int, Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        1: MappingProxyType(
            {
                "charges": (
                    *("id", "license_id", "period_id", "reservation_id", "job_id"),
                    *("user_id", "item", "subject", "digest", "credits", "rule"),
                    *("paid_by", "charged_at", "view_id", "free_since", "provider"),
                    *("also_digest", "free_because", "transaction_id"),
                ),
                "refunds": (
                    *("charge_id", "license_id", "period_id", "job_id", "credits"),
                    *("reason", "refunded_at", "credit_note_id", "transaction_id"),
                ),
                "transfers": (
                    *("id", "license_id", "period_id", "reservation_id", "kind"),
                    *("from_account", "to_account", "credits", "reference"),
                    *("created_at", "transaction_id"),
                ),
            }
        )
    }
)
"""All columns of the tables, by format. They are never edited once sealed by."""

# What people wrote, and which rows have it: the reference of a refund is an id.
_WORDS = MappingProxyType(
    {"refunds": ("reason", "true"), "transfers": ("reference", "r.kind = 'grant'")}
)

_BATCH = 2_000


class SealedRow(NamedTuple):
    """A row as it is sealed; `table` is its place in `TABLES`.

    `is_sound` says that what a person wrote is what was sealed, or was erased.
    """

    transaction_id: int
    table: int
    id: int
    license_id: str
    record: bytes
    is_sound: bool


def _select(place: int, columns: Mapping[str, tuple[str, ...]]) -> str:
    table = TABLES[place]
    key = KEY_OF[table]
    words, has_words = _WORDS.get(table, (None, "false"))
    values = (
        f"CASE WHEN {has_words} THEN NULL ELSE r.{column} END, t.digest"
        if column == words
        else f"r.{column}"
        for column in columns[table]
    )
    is_sound = "true"
    join = ""
    if words:
        join = f"""
          LEFT JOIN chain_texts AS t
            ON t.table_name = '{table}' AND t.row_id = r.{key} AND {has_words}"""
        is_sound = f"""
            CASE WHEN NOT ({has_words}) THEN true
                 WHEN t.salt IS NULL THEN r.{words} = '' AND EXISTS (
                      SELECT FROM chain_erasures AS e
                       WHERE e.table_name = '{table}' AND e.row_id = r.{key})
                 ELSE sha256(t.salt || convert_to(r.{words}, 'UTF8')) = t.digest END"""
    return f"""
        SELECT r.transaction_id, {place} AS place, r.{key} AS id, r.license_id,
               record_send(ROW({", ".join(values)})) AS record,
               coalesce({is_sound}, false) AS is_sound
          FROM {table} AS r{join}
         WHERE r.transaction_id >= %(first)s AND r.transaction_id < %(end)s"""  # noqa: S608 - constants only


def _query(format_: int) -> str:
    selects = [_select(place, SEALED[format_]) for place in range(len(TABLES))]
    return " UNION ALL ".join(selects) + " ORDER BY transaction_id, place, id"


def of_bounds(
    connection: Connection, first: int, end: int, *, format_: int = FORMAT
) -> Iterator[SealedRow]:
    """The rows written by transactions from `first` to below `end`, as they are sealed.

    They come in the order of transaction, table and id, and are read as they are asked
    for: memory stays small, whatever there is.
    """
    # The index of transactions is small, and what is asked for is the end of a table.
    connection.execute(text("SET LOCAL enable_seqscan = off"))
    rows = stream(connection, _query(format_), {"first": first, "end": end}, _BATCH)
    return map(SealedRow._make, rows)


def note_texts(connection: Connection, first: int, end: int) -> None:
    """Make the digests of what people wrote in rows that are about to be sealed."""
    for table, (words, has_words) in _WORDS.items():
        key = KEY_OF[table]
        connection.execute(
            text(f"""
                WITH salted AS MATERIALIZED (
                  SELECT r.{key} AS id, r.{words} AS words,
                         uuid_send(gen_random_uuid()) AS salt
                    FROM {table} AS r
                   WHERE r.transaction_id >= :first AND r.transaction_id < :end
                     AND {has_words})
                INSERT INTO chain_texts (table_name, row_id, salt, digest)
                SELECT '{table}', id, salt, sha256(salt || convert_to(words, 'UTF8'))
                  FROM salted"""),  # noqa: S608 - constants only
            {"first": first, "end": end},
        )


def count(connection: Connection, first: int, end: int) -> int:
    """How many rows were written by transactions from `first` to below `end`."""
    connection.execute(text("SET LOCAL enable_seqscan = off"))
    counted = (
        f"(SELECT count(*) FROM {table}"  # noqa: S608 - constants only
        " WHERE transaction_id >= :first AND transaction_id < :end)"
        for table in TABLES
    )
    rows: int = connection.execute(
        text(f"SELECT {' + '.join(counted)}"),
        {"first": first, "end": end},
    ).scalar_one()
    return rows
