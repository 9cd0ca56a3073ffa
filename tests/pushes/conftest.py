"""Jobs that push: a sandbox of a CRM, a Valkey and a database, all of them real."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support import job_runs
from tests.support.push_runs import connect
from tests.support.sandboxes import Sandbox
from worker.wiring import Wired


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    box = Sandbox()
    yield box
    box.close()


@pytest.fixture
def wired(
    database_url, tmp_path, redis_url, no_pauses
) -> Iterator[Callable[..., Wired]]:
    """Makes the use cases with other settings, as another worker has them."""
    made: list[Wired] = []

    def make(**changed: Any) -> Wired:
        wanted: dict[str, Any] = {
            "redis_url": redis_url,
            "chunk_records": 250,
            "batch_records": 100,
            "webhook_allow_private": True,
            "crm_timeout_s": 5,
        }
        deps = job_runs.wire_to(database_url, tmp_path, **wanted | changed)
        made.append(deps)
        return deps

    yield make
    for deps in made:
        deps.providers.close()
        deps.crms.close()
        deps.database.close()


@pytest.fixture
def house(wired) -> Wired:
    deps: Wired = wired()
    job_runs.create_license(deps, credits_granted=100_000)
    return deps


@pytest.fixture
def connection(house: Wired, sandbox: Sandbox) -> str:
    return connect(
        house,
        "hubspot",
        {"url": f"{sandbox.url}/hubspot"},
        {"access_token": "token-of-the-tests"},
    )
