"""The databases that tests are lent: each finds what the first one found."""

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import make_url

from storage.database import Database
from tests.support.databases import Copies
from tests.support.stored_jobs import make_job, make_license, settle

_TABLES = """
SELECT relname FROM pg_class
 WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY relname
"""
_SEQUENCES = """
SELECT sequencename, last_value FROM pg_sequences ORDER BY sequencename
"""


@pytest.fixture
def own_copies(server, template) -> Iterator[Copies]:
    """Copies that no other test is lent."""
    own = Copies(server, template)
    yield own
    own.close()


def _open(url: str) -> psycopg.Connection[tuple[object, ...]]:
    address = make_url(url).set(drivername="postgresql")
    return psycopg.connect(
        address.render_as_string(hide_password=False), autocommit=True
    )


def _found(url: str) -> dict[str, list[tuple[object, ...]]]:
    """All rows but the clock's moments, and how far each sequence is."""
    with _open(url) as connection:
        names = [str(row[0]) for row in connection.execute(_TABLES)]
        query = sql.SQL("SELECT to_jsonb(r) - 'trusted_at' FROM {} AS r")
        rows = {
            name: connection.execute(query.format(sql.Identifier(name))).fetchall()
            for name in names
        }
        return rows | {"sequences": connection.execute(_SEQUENCES).fetchall()}


def _settle(url: str) -> None:
    database = Database(url)
    with database.transaction() as connection:
        make_license(connection)
        make_job(connection, "job-1", 1)
        settle(connection, "job-1", "company:c1=1")
    database.close()


def test_the_next_one_finds_what_the_first_has_found(own_copies):
    with own_copies.lend(audited=True) as first:
        found = _found(first)
        _settle(first)
        assert _found(first) != found
    with own_copies.lend(audited=True) as second:
        assert (second, _found(second)) == (first, found)
        _settle(second)


def test_whoever_is_still_connected_is_ended(own_copies):
    with own_copies.lend(audited=True) as url:
        left = _open(url)
    with pytest.raises(psycopg.OperationalError):
        left.execute("SELECT 1")
    left.close()


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE charges DISABLE TRIGGER charges_append_only",
        "ALTER TABLE jobs ALTER COLUMN user_id DROP NOT NULL",
        "CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "ALTER SEQUENCE charges_id_seq INCREMENT 2",
        "CREATE TABLE stray (id bigint)",
        "ANALYZE business_clock",
    ],
)
def test_one_whose_schema_or_statistics_changed_is_lent_to_nobody(own_copies, change):
    with own_copies.lend(audited=False) as changed, _open(changed) as connection:
        connection.execute(change)
    with own_copies.lend(audited=False) as another:
        assert another != changed


def test_a_temporary_table_is_no_change(own_copies):
    with own_copies.lend(audited=False) as first, _open(first) as connection:
        connection.execute("CREATE TEMPORARY TABLE gone (id bigint)")
    with own_copies.lend(audited=False) as second:
        assert second == first


def _break_a_promise(copies: Copies) -> None:
    with copies.lend(audited=True) as url:
        _settle(url)
        with _open(url) as connection:
            connection.execute("UPDATE periods SET granted = granted + 1")


def test_whoever_breaks_a_promise_fails_and_the_next_one_does_not(own_copies):
    for _ in range(2):
        with pytest.raises(AssertionError, match="period_counters_are_account_"):
            _break_a_promise(own_copies)
    with own_copies.lend(audited=True) as url:
        _settle(url)
