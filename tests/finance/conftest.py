"""A house with money in it, and its chain."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from storage.database import Database
from storage.finance.chain import runs
from storage.finance.chain.runs import Run
from storage.ledger import grants
from tests.support.fleet import until
from tests.support.stored_jobs import (
    charge_of,
    end_job,
    make_job,
    make_license,
    refund,
    settle,
)
from worker.finance.chain import sealer
from worker.infrastructure.dependencies import Deps, bare
from worker.infrastructure.settings import Settings

KEY = "a key for the chain of tests"


def deps_of(database: Database, home, **settings: object) -> Deps:
    """What the chain's use cases need, on a database and a home."""
    url = database.url.render_as_string(hide_password=False)
    given = {"database_url": url, "home": home, "secret_keys": KEY, **settings}
    return bare(Settings(**given))


def make_money(database: Database) -> None:
    """Two licenses with grants, charges paid and free, a release and a refund."""
    for license_id in ("acme", "blix"):
        with database.transaction() as connection:
            make_license(connection, license_id, credits_granted=500)
            grants.grant(connection, license_id, 20, f"order of {license_id}")
            job = f"job of {license_id}"
            make_job(connection, job, 30, license_id=license_id)
            settle(connection, job, "company:c1=1", "email:p1=1", "phone:p1=2")
            settle(connection, job, "company:c2=1", "email:p2=1", "phone:p2=0")
            end_job(connection, job)
    with database.transaction() as connection:
        charge = charge_of(connection, "job of acme", "email:p1")
        refund(connection, charge, "Ms. Miller has asked for it")


def seal(house: Deps) -> Run:
    """Seal all that is committed: what others of the server have begun may end first.

    A server's other databases count with it, and so does what keeps its statistics.
    """
    with house.database.reading() as connection:
        began = runs.moment(connection).next

    def have_ended() -> bool:
        with house.database.reading() as connection:
            return runs.moment(connection).oldest >= began

    until(have_ended)
    return sealer.seal(house)


@pytest.fixture
def house(broken_database, tmp_path) -> Iterator[Deps]:
    """A house whose rows of money are not sealed yet."""
    make_money(broken_database)
    with closing((deps := deps_of(broken_database, tmp_path)).database):
        yield deps
