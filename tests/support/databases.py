"""The databases of tests: copies of a migrated one, lent to one test after another.

Making a copy, dropping it, and planning all that the audit asks in it takes a tenth of
a second of a processor: more than most tests. So a copy comes back: what a test has
written is removed, and the next one finds what the first has found. A copy is dropped
where a test has changed its schema or its statistics, has filled it, or had a deadlock
in it that the server has counted.
"""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import StaticPool, create_engine, make_url

from storage.ledger import audit
from tests.support.stated import check_statements

_WRITTEN_MAX = 50_000
"""Rows, by all that have had a copy: what they leave behind makes its tests slower."""
_OTHERS_END_MS = 10_000

_TABLES = """
SELECT relname FROM pg_class
 WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY relname
"""

_RESTART = """
SELECT setval(seqrelid, seqstart, false) FROM pg_sequence
 WHERE pg_sequence_last_value(seqrelid) IS NOT NULL
"""

_CATALOGS = {
    "pg_class": "oid",
    "pg_attribute": "attrelid",
    "pg_attrdef": "adrelid",
    "pg_constraint": "oid",
    "pg_index": "indexrelid",
    "pg_trigger": "tgrelid",
    "pg_rewrite": "ev_class",
    "pg_sequence": "seqrelid",
    "pg_statistic": "starelid",
    "pg_proc": "oid",
    "pg_type": "oid",
}
"""Where the schema is kept, and the column that tells what is not PostgreSQL's own."""

# Everybody's counts are in once they have ended, of what was rolled back too.
_CATALOG_WRITES = """
SELECT sum(pg_stat_get_tuples_inserted(name::regclass)
           + pg_stat_get_tuples_updated(name::regclass)
           + pg_stat_get_tuples_deleted(name::regclass))::bigint
  FROM unnest(%s::text[]) AS name
"""

_IS_SPENT = """
SELECT pg_stat_get_db_tuples_inserted(oid) + pg_stat_get_db_tuples_updated(oid) > %s
       OR pg_stat_get_db_deadlocks(oid) > 0
  FROM pg_database WHERE datname = current_database()
"""

_SETTINGS = """
SELECT count(*) FROM pg_db_role_setting AS said JOIN pg_database AS ours
    ON ours.oid = said.setdatabase WHERE ours.datname = current_database()
"""

_END_OTHERS = """
SELECT pg_terminate_backend(pid, %s) FROM pg_stat_activity
 WHERE datname = current_database() AND pid <> ALL (%s)
"""

_IN_ONE_SNAPSHOT = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"


def administrate(server: str, statement: str, *names: str) -> None:
    """Run a statement that cannot run in a transaction, such as CREATE DATABASE."""
    with _connect(url_in(server, "postgres")) as connection:
        connection.execute(
            sql.SQL(statement).format(*(sql.Identifier(name) for name in names)),
        )


def url_in(server: str, name: str) -> str:
    """The URL of a database of this server."""
    return make_url(server).set(database=name).render_as_string(hide_password=False)


@contextmanager
def new_database(server: str) -> Iterator[str]:
    """The URL of a database with nothing in it."""
    name = f"holdfast_test_{uuid.uuid4().hex[:12]}"
    administrate(server, "CREATE DATABASE {}", name)
    try:
        yield url_in(server, name)
    finally:
        administrate(server, "DROP DATABASE {} WITH (FORCE)", name)


class Copies:
    """The copies of one template; those that nobody has wait for the next."""

    def __init__(self, server: str, template: str) -> None:
        self._server = server
        self._template = template
        self._free: list[_Copy] = []

    @contextmanager
    def lend(self, *, audited: bool) -> Iterator[str]:
        """The URL of a migrated database as if it were new.

        Where it is audited, the audit finds nothing wrong in it in the end, and the
        statements of all periods add up.
        """
        copy = self._free.pop() if self._free else self._made()
        is_as_made = False
        try:
            copy.tick()
            yield copy.url
            if audited:
                copy.audit()
        finally:
            try:
                is_as_made = copy.restore()
            finally:
                if is_as_made:
                    self._free.append(copy)
                else:
                    copy.drop()

    def close(self) -> None:
        """Drop all that nobody has."""
        for copy in self._free:
            copy.drop()

    def _made(self) -> "_Copy":
        name = f"{self._template}_{uuid.uuid4().hex[:8]}"
        administrate(
            self._server, "CREATE DATABASE {} TEMPLATE {}", name, self._template
        )
        return _Copy(self._server, name)


class _Copy:
    """A copy, what it was made with, and two connections to it that are kept.

    On one no trigger runs and no foreign key is held. To say so each time would throw
    away all that the other has planned.
    """

    def __init__(self, server: str, name: str) -> None:
        self.url = url_in(server, name)
        self._server = server
        self._name = name
        self._open()
        tables = self._restoring.execute(_TABLES)
        self._filled = _those_filled([row[0] for row in tables])
        self._rows = {
            table: self._one(_formatted("SELECT json_agg(r)::text FROM {} AS r", table))
            for table in self._one(self._filled)
        }
        self._schema = self._one(_fingerprint())
        self._catalog_writes = self._one(_CATALOG_WRITES, [*_CATALOGS])

    def tick(self) -> None:
        """The template's clock was trusted when it was made, maybe a while ago."""
        self._restoring.execute(
            "UPDATE business_clock SET trusted_at = clock_timestamp()"
        )

    def audit(self) -> None:
        """Let the audit look at all there is, and the statements add up."""
        self._be_connected()
        self._auditing.execute(_IN_ONE_SNAPSHOT)
        try:
            violations = {
                check: rows
                for check, query in audit.CHECKS.items()
                if (rows := self._auditing.execute(query, prepare=True).fetchall())
            }
            assert violations == {}, violations
            with self._engine.connect() as connection:
                check_statements(connection)
        finally:
            self._auditing.rollback()

    def restore(self) -> bool:
        """Make it what it was; False where only another copy would be."""
        self._be_connected()
        kept = [one.info.backend_pid for one in (self._restoring, self._auditing)]
        self._restoring.execute(_END_OTHERS, (_OTHERS_END_MS, kept), prepare=True)
        if self._one(_IS_SPENT, _WRITTEN_MAX) or self._schema_changed():
            return False
        with self._restoring.transaction():
            for table in self._one(self._filled):
                delete = _formatted("DELETE FROM {}", table)
                self._restoring.execute(delete, prepare=True)
            self._restoring.execute(_RESTART, prepare=True)
            for table, rows in self._rows.items():
                self._fill(table, rows)
        return True

    def drop(self) -> None:
        """Remove it, whoever still uses it."""
        self._close()
        administrate(self._server, "DROP DATABASE {} WITH (FORCE)", self._name)

    def _schema_changed(self) -> bool:
        """Whether anything else than rows is not as it was made."""
        writes = self._one(_CATALOG_WRITES, [*_CATALOGS])
        # Temporary tables are written there too, and are gone.
        if writes != self._catalog_writes and self._one(_fingerprint()) != self._schema:
            return True
        self._catalog_writes = writes
        return bool(self._one(_SETTINGS))

    def _fill(self, table: str, rows: str) -> None:
        insert = _formatted(
            "INSERT INTO {0} OVERRIDING SYSTEM VALUE "
            "SELECT * FROM json_populate_recordset(NULL::{0}, %s)",
            table,
        )
        self._restoring.execute(insert, (rows,), prepare=True)

    def _one(self, query: str | sql.Composed, *given: object) -> Any:
        asked = self._restoring.execute(query, given or None, prepare=True)
        row = asked.fetchone()
        assert row is not None
        return row[0]

    def _be_connected(self) -> None:
        """Tests may end all connections that there are."""
        try:
            self._auditing.execute("SELECT 1")
            self._restoring.execute("SELECT 1")
        except psycopg.OperationalError:
            self._close()
            self._open()

    def _open(self) -> None:
        self._auditing = _connect(self.url)
        self._restoring = _connect(
            self.url, options="-c session_replication_role=replica"
        )
        self._engine = create_engine(
            "postgresql+psycopg://",
            creator=lambda: self._auditing,
            poolclass=StaticPool,
        )
        self._engine.connect().close()

    def _close(self) -> None:
        self._auditing.close()
        self._restoring.close()


def _connect(
    url: str, options: str | None = None
) -> psycopg.Connection[tuple[Any, ...]]:
    address = make_url(url).set(drivername="postgresql")
    return psycopg.connect(
        address.render_as_string(hide_password=False), autocommit=True, options=options
    )


def _formatted(statement: str, *names: str) -> sql.Composed:
    return sql.SQL(statement).format(*(sql.Identifier(name) for name in names))


def _those_filled(tables: list[str]) -> sql.Composed:
    """Asks which of the tables have rows."""
    each = sql.SQL("CASE WHEN EXISTS (SELECT FROM {}) THEN {} END")
    asked = (each.format(sql.Identifier(name), sql.Literal(name)) for name in tables)
    return sql.SQL("SELECT array_remove(ARRAY[{}], NULL)").format(
        sql.SQL(", ").join(asked)
    )


def _fingerprint() -> sql.Composed:
    """Asks for what is another once anything of the schema is."""
    each = sql.SQL(
        "(SELECT (count(*), max(xmin::text::bigint))::text FROM {} WHERE {} >= 16384)"
    )
    asked = (
        each.format(sql.Identifier(catalog), sql.Identifier(column))
        for catalog, column in _CATALOGS.items()
    )
    return sql.SQL("SELECT concat_ws(' ', {})").format(sql.SQL(", ").join(asked))
