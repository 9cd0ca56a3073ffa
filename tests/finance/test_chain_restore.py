"""After a restore nobody writes money until an operator has said that it goes on."""

import subprocess
from collections.abc import Iterator
from contextlib import closing

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.exc import OperationalError

from storage.database import Database
from storage.errors import is_money_stopped
from storage.finance.chain import runs
from storage.finance.chain.runs import DatabaseRestored
from storage.ledger import grants
from storage.migrations.migrator import migrate
from storage.operations.action_log import Acting, Actor
from storage.tables.column_types import ERA
from tests.finance.conftest import deps_of, make_money, seal
from tests.finance.test_chain import run
from tests.support.servers import OwnPostgres, own_postgres_server
from tests.support.stored_jobs import end_job, make_job, settle
from worker.finance.chain import new_era, sealer
from worker.finance.chain.verifier import verify
from worker.infrastructure.dependencies import Deps
from worker.infrastructure.errors import Refused

ACTING = Acting(Actor("a person", "a test"), "restored")


@pytest.fixture
def restored(tmp_path) -> Iterator[Deps]:
    """A house on another server: a dump made after a seal, with unsealed money."""
    dump = tmp_path / "dump"
    with own_postgres_server() as lost, own_postgres_server() as server:
        with (
            closing(Database(lost.url)) as database,
            closing((deps := deps_of(database, tmp_path)).database),
        ):
            migrate(database)
            _live(deps)
        _pg(lost, "pg_dump", "-Fc", "-f", str(dump))
        _pg(server, "pg_restore", "--no-owner", "--exit-on-error", str(dump))
        with (
            closing(Database(server.url)) as database,
            closing((deps := deps_of(database, tmp_path)).database),
        ):
            yield deps


def _live(deps: Deps) -> None:
    """Seal some money, and have more that no run has sealed."""
    make_money(deps.database)
    with deps.database.transaction() as connection:
        make_job(connection, "open", 10)
        settle(connection, "open", "company:c9=1")
    seal(deps)
    with deps.database.transaction() as connection:
        settle(connection, "open", "email:p9=1")


def _pg(server: OwnPostgres, program: str, *words: str) -> None:
    """Run a program that came with a server, on that."""
    url = make_url(server.url).set(drivername="postgresql").render_as_string()
    done = subprocess.run(
        [server.programs / program, *words, "--dbname", url],
        check=False,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr.decode()


def _stopped(database: Database) -> bool:
    with (
        pytest.raises(OperationalError) as refused,
        database.transaction() as connection,
    ):
        grants.grant(connection, "acme", 5, "after the restore")
    return is_money_stopped(refused.value)


@pytest.mark.slow
def test_a_restored_database_writes_no_money_until_a_new_era(restored):
    database = restored.database
    assert _stopped(database)
    with (
        pytest.raises(OperationalError, match="new-era"),
        database.transaction() as connection,
    ):
        end_job(connection, "open")
    with pytest.raises(DatabaseRestored):
        sealer.seal(restored)
    assert "see `holdfast audit --new-era`" in verify(restored).breaks[0].what
    begun = new_era.start(restored, ACTING)
    assert (begun.run.era, begun.run.to_transaction, begun.lost_runs) == (1, ERA, 0)
    # What no run had sealed before the dump.
    assert (begun.run.charges, begun.run.transfers) == (1, 1)
    with database.transaction() as connection:
        end_job(connection, "open")
        grants.grant(connection, "acme", 5, "after the restore")
    later = seal(restored)
    assert later.from_transaction == ERA
    assert later.transfers == 2
    found = verify(restored)
    assert (found.total, found.unsealed) == (0, 0)
    with pytest.raises(Refused, match="the one that was sealed last"):
        new_era.start(restored, ACTING)


def test_a_server_that_counts_below_what_is_sealed_is_refused(
    house, broken_database, tmp_path
):
    seal(house)
    run(
        broken_database,
        "UPDATE chain_runs SET to_transaction = to_transaction + 1000000",
    )
    with closing((fresh := deps_of(broken_database, tmp_path)).database):
        assert _stopped(fresh.database)


def test_no_chunk_is_taken_where_credits_stand_still(house, broken_database, tmp_path):
    with house.database.transaction() as connection:
        make_job(connection, "waits", 10, chunks=[5])
    seal(house)
    run(broken_database, "UPDATE chain_runs SET system_identifier = 1")
    with (
        closing((fresh := deps_of(broken_database, tmp_path)).database) as database,
        pytest.raises(OperationalError, match="new-era"),
        database.transaction() as connection,
    ):
        connection.execute(text("UPDATE chunks SET state = 'running'"))
    assert fresh


def test_a_restore_to_an_earlier_moment_gives_up_the_runs_pinned_since(house):
    seal(house)
    seal(house)
    seal(house)
    run(house.database, "DELETE FROM chain_links WHERE run > 1")
    run(house.database, "DELETE FROM chain_runs WHERE n > 1")
    begun = new_era.start(house, ACTING)
    assert (begun.run.n, begun.run.era, begun.lost_runs) == (2, 1, 2)
    seal(house)
    found = verify(house)
    assert (found.total, found.pins_lost) == (0, 2)
    with house.database.transaction() as connection:
        noted = connection.execute(text("SELECT verb, reason FROM actions")).one()
        assert tuple(noted) == ("new-era", "restored")
        assert runs.sealed_bound(connection) > ERA
