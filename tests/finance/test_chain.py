"""The chain: what is sealed stays as it was, or it is found where it does not."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from sqlalchemy import Connection, text

from storage.database import Database
from storage.finance.chain import sealed_rows
from storage.finance.chain.sealed_rows import KEY_OF, SEALED, TABLES
from storage.ledger import grants
from storage.tables import metadata
from tests.finance.conftest import deps_of, make_money, seal
from worker.finance.chain import sealer
from worker.finance.chain.verifier import verify
from worker.infrastructure.dependencies import Deps


@contextmanager
def as_superuser(database: Database) -> Iterator[Connection]:
    """A transaction that no trigger and no foreign key sees."""
    with database.transaction() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        yield connection


def run(database: Database, statement: str) -> int:
    with as_superuser(database) as connection:
        return connection.execute(text(statement)).rowcount


@pytest.fixture(scope="module")
def sealed(shared_database, tmp_path_factory) -> Iterator[Deps]:
    """A house that is sealed, whose checks a superuser has dropped."""
    make_money(shared_database)
    home = tmp_path_factory.mktemp("home")
    with closing((deps := deps_of(shared_database, home)).database):
        seal(deps)
        with shared_database.transaction() as connection:
            grants.grant(connection, "acme", 5, "another order")
        seal(deps)
        with as_superuser(shared_database) as connection:
            rows = connection.execute(
                text("""
                    SELECT conrelid::regclass AS table, conname FROM pg_constraint
                     WHERE contype = 'c'
                       AND conrelid::regclass::text = ANY (:tables)"""),
                {"tables": list(TABLES)},
            ).all()
            for table, name in rows:
                connection.execute(text(f"ALTER TABLE {table} DROP CONSTRAINT {name}"))
            connection.execute(
                text("ALTER TABLE transfers ALTER COLUMN id DROP IDENTITY")
            )
        yield deps


@contextmanager
def changed(database: Database, table: str, row: int, change: str) -> Iterator[None]:
    """A row as somebody has changed it by hand, until the block ends."""
    key, columns = KEY_OF[table], ", ".join(SEALED[sealed_rows.FORMAT][table])
    with as_superuser(database) as connection:
        connection.execute(
            text(f"CREATE TABLE kept AS SELECT * FROM {table} WHERE {key} = {row}")
        )
        now = connection.execute(
            text(f"UPDATE {table} SET {change} WHERE {key} = {row} RETURNING {key}")
        ).scalar_one()
    try:
        yield
    finally:
        run(
            database,
            f"UPDATE {table} SET ({columns}) = (SELECT {columns} FROM kept)"
            f" WHERE {key} = {now}",
        )
        run(database, "DROP TABLE kept")


def _other(table: str, column: str) -> str:
    """Another value of a column, whatever it holds."""
    kind = str(metadata.tables[table].c[column].type).lower()
    if "int" in kind:
        return f"{column} = coalesce({column}, 0) + 1000"
    if "time" in kind:
        return f"{column} = coalesce({column}, now()) + interval '1 microsecond'"
    return f"{column} = coalesce({column}, '') || 'x'"


EVERY_COLUMN = [
    (table, column) for table in TABLES for column in SEALED[sealed_rows.FORMAT][table]
]


@pytest.mark.parametrize(("table", "column"), EVERY_COLUMN)
def test_a_row_changed_in_any_column_is_found_and_named(sealed, table, column):
    key = KEY_OF[table]
    with sealed.database.transaction() as connection:
        row = connection.execute(text(f"SELECT min({key}) FROM {table}")).scalar_one()
    with changed(sealed.database, table, row, _other(table, column)):
        found = verify(sealed)
    assert found.total
    assert table in {one.table for one in found.breaks}
    if column != key:
        assert row in {one.row for one in found.breaks}
    if column not in {key, "license_id", "transaction_id"}:
        first = found.breaks[0]
        assert (first.run, first.license_id) == (1, "acme")
    assert verify(sealed).total == 0


def test_every_column_of_the_tables_is_sealed():
    for table in TABLES:
        columns = {column.name for column in metadata.tables[table].columns}
        assert columns == set(SEALED[sealed_rows.FORMAT][table])


@pytest.mark.parametrize("table", TABLES)
def test_a_row_that_was_removed_is_found_and_named(house, table):
    seal(house)
    key = KEY_OF[table]
    with house.database.transaction() as connection:
        row = connection.execute(text(f"SELECT max({key}) FROM {table}")).scalar_one()
    run(house.database, f"DELETE FROM {table} WHERE {key} = {row}")
    found = verify(house)
    first = found.breaks[0]
    assert (first.table, first.row, first.what) == (table, row, "was removed")


@pytest.mark.parametrize("table", TABLES)
def test_a_row_that_was_added_below_what_is_sealed_is_found_and_never_sealed(
    house, table
):
    bound = seal(house).to_transaction
    key = KEY_OF[table]
    columns = [one for one in SEALED[sealed_rows.FORMAT][table] if one != key]
    values = ", ".join(
        {"transaction_id": "transaction_id", "subject": "'forged'"}.get(one, one)
        for one in columns
        if one != "reference"
    )
    names = ", ".join(one for one in columns if one != "reference")
    kept = "kind = 'settle'" if table == "transfers" else "true"
    run(
        house.database,
        f"INSERT INTO {table} ({key}, {names}) OVERRIDING SYSTEM VALUE"
        f" SELECT 1000000, {values} FROM {table} WHERE {kept} LIMIT 1",
    )
    assert seal(house).from_transaction == bound
    found = verify(house)
    assert (1, table, 1000000, "was added after it was sealed") in {
        (one.run, one.table, one.row, one.what) for one in found.breaks
    }


def test_a_row_that_commits_late_is_sealed_by_the_run_after_its_commit(house):
    """Id 7 commits after 9: sealing by id would skip it for ever."""
    database = house.database
    seal(house)
    with database._engine.begin() as late:
        late.execute(
            text("""
                INSERT INTO transfers (license_id, period_id, kind, from_account,
                                       to_account, credits, reference)
                SELECT 'acme', min(id), 'grant', 'outside', 'available', 7, 'late'
                  FROM periods WHERE license_id = 'acme'""")
        )
        late.execute(text("UPDATE periods SET granted = granted + 7"))
        with database._engine.connect() as soon, soon.begin():
            soon.execute(
                text("""
                    INSERT INTO transfers (license_id, period_id, kind, from_account,
                                           to_account, credits, reference)
                    SELECT 'blix', id, 'grant', 'outside', 'available', 9, 'soon'
                      FROM periods WHERE license_id = 'blix'""")
            )
        first = sealer.seal(house)
        assert (first.transfers, verify(house).unsealed) == (0, 1)
    assert seal(house).transfers == 2
    found = verify(house)
    assert (found.total, found.unsealed) == (0, 0)


def test_empty_runs_are_sealed_by_the_house_too(house):
    seal(house)
    run_of_nothing = seal(house)
    assert (run_of_nothing.n, run_of_nothing.links) == (2, 0)
    assert verify(house).total == 0


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE chain_runs SET sealed_at = sealed_at + interval '1 second' WHERE n = 1",
        "UPDATE chain_runs SET transfers = transfers - 1 WHERE n = 1",
        "UPDATE chain_runs SET to_transaction = to_transaction + 1 WHERE n = 1",
        "UPDATE chain_runs SET system_identifier = 1 WHERE n = 1",
        "UPDATE chain_links SET position = 7 WHERE run = 1 AND license_id = 'acme'",
        "UPDATE chain_links SET locators = '' WHERE run = 1 AND license_id = 'acme'",
        "UPDATE chain_links SET head = previous_head WHERE run = 1",
        "UPDATE chain_links SET charges = charges + 1 WHERE run = 1",
        "DELETE FROM chain_links WHERE run = 1 AND license_id = 'acme'",
        "DELETE FROM chain_runs WHERE n = 1",
        "UPDATE chain_texts SET digest = salt",
        "UPDATE chain_texts SET salt = digest",
        "UPDATE chain_texts SET salt = NULL",
        "DELETE FROM chain_texts",
    ],
)
def test_a_chain_that_was_changed_itself_is_broken(house, statement):
    seal(house)
    with house.database.transaction() as connection:
        grants.grant(connection, "acme", 5, "another order")
    seal(house)
    assert verify(house).total == 0
    assert run(house.database, statement)
    assert verify(house).total


def test_one_changed_row_breaks_its_run_and_none_after_it(house):
    for order in ("one", "two", "three"):
        with house.database.transaction() as connection:
            grants.grant(connection, "acme", 5, order)
        seal(house)
    run(house.database, "UPDATE transfers SET credits = 50 WHERE reference = 'two'")
    found = verify(house)
    assert [(one.run, one.license_id, one.table) for one in found.breaks] == [
        (2, "acme", "transfers")
    ]
    assert str(found.breaks[0]).startswith("license acme, run 2, table transfers, row ")


def test_a_row_of_a_transaction_still_to_come_is_a_break(house):
    seal(house)
    run(
        house.database,
        "UPDATE transfers SET transaction_id = transaction_id + 1000000000"
        " WHERE id = (SELECT max(id) FROM transfers)",
    )
    whats = {one.what for one in verify(house).breaks}
    assert whats == {"was removed", "is of a transaction that has not been"}


def test_runs_of_a_former_key_are_verified_while_it_is_kept(
    house, broken_database, tmp_path
):
    first = seal(house)
    new = "another key of twenty characters"
    both = f"{new},a key for the chain of tests"
    with closing(
        (deps := deps_of(broken_database, tmp_path, secret_keys=both)).database
    ):
        second = seal(deps)
        assert first.key_id != second.key_id
        assert verify(deps).total == 0
    with closing(
        (alone := deps_of(broken_database, tmp_path, secret_keys=new)).database
    ):
        found = verify(alone)
    assert [one.run for one in found.breaks] == [1]
    assert "is not among those that are set" in found.breaks[0].what


def test_whoever_seals_anew_with_another_key_is_found(house, broken_database, tmp_path):
    guessed = deps_of(broken_database, tmp_path, secret_keys="x" * 32)
    with closing(guessed.database):
        seal(guessed)
        assert verify(guessed).total == 0
    assert verify(house).total
