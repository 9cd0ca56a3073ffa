"""Settling a batch with its outcomes, and copying the very rows that this wrote."""

from collections.abc import Sequence
from typing import Any

from psycopg import Connection as Driver
from psycopg import sql
from sqlalchemy import Connection, text

from bench.installations.contacts import found_of, row
from bench.installations.process_tree import backend_cpu_s
from bench.rivals import product
from storage.database import Database
from storage.ledger.settlement import Payer

CONTACTS = 500
_Rows = dict[str, list[tuple[Any, ...]]]
"""Rows by their table."""


class CopiedBatches:
    """One backend settles and copies in turn: both find the same caches."""

    def __init__(self, database: Database, payer: Payer) -> None:
        self._database = database
        self._payer = payer
        self._copies: set[str] = set()
        with database.transaction() as connection:
            pid = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        self._backend = int(pid)

    def settle_and_copy(self, number: int) -> tuple[float, float]:
        """The backend's CPU seconds for settling a batch, and for copying its rows."""
        began_s = backend_cpu_s(self._backend)
        with self._database.transaction() as connection:
            self._settle(connection, number * CONTACTS)
            xid = connection.execute(text("SELECT pg_current_xact_id()::text")).scalar()
            tables = self._written_tables(connection)
        settled_s = backend_cpu_s(self._backend) - began_s
        written = self._written(tables, int(xid or 0))
        began_s = backend_cpu_s(self._backend)
        with self._database.transaction() as connection:
            _copy(connection, written)
        return settled_s, backend_cpu_s(self._backend) - began_s

    def _settle(self, connection: Connection, first: int) -> None:
        rows = [row(number) for number in range(first, first + CONTACTS)]
        found = [found_of(number) for number in range(first, first + CONTACTS)]
        batch = product.Contacts(
            first=first + 1,
            companies=[one[0] for one in rows],
            persons=[one[3] for one in rows],
            emails=[email for email, _, _ in found],
            phones=[phone for _, _, phone in found],
            owns=[product.own_digest(one) for one in rows],
        )
        product.settle_columns(connection, self._payer, batch)

    def _written_tables(self, connection: Connection) -> list[str]:
        """The tables that this transaction has added rows to."""
        rows = connection.execute(
            text(
                "SELECT relname FROM pg_stat_xact_user_tables WHERE n_tup_ins > 0"
                " AND schemaname = 'public' ORDER BY relname"
            )
        )
        return list(rows.scalars())

    def _written(self, tables: Sequence[str], xid: int) -> _Rows:
        """What a transaction has added, with tables like theirs to copy it into."""
        found: _Rows = {}
        with self._database.transaction() as connection:
            for table in tables:
                if table not in self._copies:
                    _make_copy(connection, table)
                    self._copies.add(table)
                by_xid = f"SELECT * FROM {table} WHERE xmin::text = :xid"  # noqa: S608 - a catalogue's name
                rows = connection.execute(text(by_xid), {"xid": str(xid % 2**32)})
                found[table] = [tuple(one) for one in rows]
        return found


def _make_copy(connection: Connection, table: str) -> None:
    """A table with the same columns, keys, indexes, checks and foreign keys."""
    copy = f"{table}_copied"
    connection.execute(text(f"CREATE TABLE {copy} (LIKE {table} INCLUDING ALL)"))
    keys = connection.execute(
        text(
            "SELECT pg_get_constraintdef(oid) FROM pg_constraint"
            " WHERE contype = 'f' AND conrelid = CAST(:table AS regclass)"
        ),
        {"table": table},
    )
    for key in keys.scalars():
        connection.execute(text(f"ALTER TABLE {copy} ADD {key}"))


def _copy(connection: Connection, written: _Rows) -> None:
    driver = connection.connection.driver_connection
    assert isinstance(driver, Driver)  # noqa: S101 - for the type
    for table, rows in written.items():
        name = sql.Identifier(f"{table}_copied")
        statement = sql.SQL("COPY {} FROM STDIN").format(name)
        with driver.cursor() as cursor, cursor.copy(statement) as copy:
            for one in rows:
                copy.write_row(one)
