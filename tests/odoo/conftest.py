"""Jobs that push into a real Odoo."""

from collections.abc import Iterator

import pytest

from tests.odoo import server as odoo
from tests.odoo.server import OdooDatabase, Server
from tests.support import job_runs
from tests.support.push_runs import connect
from worker.wiring import Wired


@pytest.fixture(scope="session")
def odoo_server() -> Iterator[Server]:
    why = odoo.why_not()
    if why is not None:
        pytest.skip(why)
    with odoo.running() as server:
        yield server


@pytest.fixture
def crm(odoo_server: Server) -> Iterator[OdooDatabase]:
    with odoo.database(odoo_server) as database:
        yield database


@pytest.fixture
def house(database_url, tmp_path, redis_url) -> Iterator[Wired]:
    """The use cases, with credits for everything that tests push."""
    deps = job_runs.wire_to(
        database_url,
        tmp_path,
        redis_url=redis_url,
        chunk_records=250,
        batch_records=100,
        webhook_allow_private=True,
    )
    job_runs.create_license(deps, credits_granted=100_000)
    yield deps
    deps.crms.close()
    deps.database.close()


@pytest.fixture
def connection(house: Wired, crm: OdooDatabase) -> str:
    return connect(house, "odoo", crm.settings, crm.secrets)
