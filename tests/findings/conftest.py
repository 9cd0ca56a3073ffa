"""Jobs that ask vendors: a sandbox, a Valkey and a database, all of them real."""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from pricing.findings import EmailLevel
from pricing.plans import Item
from storage.findings import provider_costs
from storage.jobs import job_reports
from storage.jobs.job_reports import JobReport
from storage.quotes.quotes import Request
from tests.support import job_runs
from tests.support.sandboxes import Sandbox
from worker.infrastructure.clock import wait
from worker.jobs import submission
from worker.quotes import quote_maker
from worker.quotes.readers import inline_records
from worker.wiring import Wired

KEY = "key-of-the-tests"
_WAITS_MAX = 300
BOTH = (Item.EMAIL, Item.PHONE)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    box = Sandbox()
    for vendor in ("hunter", "people_data_labs", "fullenrich"):
        box.behave(vendor)
    yield box
    box.close()


@dataclass
class House:
    """A license, and jobs that are run to their end in this process."""

    sandbox: Sandbox
    make: Callable[..., Wired]
    deps: Wired

    def another(self, **changed: Any) -> Wired:
        """What another worker, or one with other settings, has."""
        return self.make(**changed)

    def submit(
        self,
        persons: Sequence[str | tuple[str, str]],
        *,
        retrieve: tuple[Item, ...] = (Item.EMAIL,),
        level: EmailLevel = EmailLevel.ACCEPT_ALL,
        **more: Any,
    ) -> str:
        """A job for persons, told by their id or by id and last name."""
        named = [(one, "Lovelace") if isinstance(one, str) else one for one in persons]
        records = [
            {
                "company": {"id": "c1", "name": "Engine", "domain": "engine.example"},
                "person": {"id": name, "first_name": name, "last_name": last},
            }
            for name, last in named
        ]
        request = Request(
            kind="export",
            license_id="acme",
            user_id="user-1",
            retrieve=retrieve,
            email_level=level,
            only_with=None,
            export={"format": "csv"},
        )
        stored = quote_maker.quote(self.deps, request, inline_records.read(records))
        return submission.submit(self.deps, stored.id, **more)

    def turn(self, job_id: str, deps: Wired | None = None) -> JobReport:
        """Run what of a job may run now, once."""
        job_runs.run_chunks(deps or self.deps, job_id)
        return self.report(job_id)

    def run(self, job_id: str, deps: Wired | None = None) -> JobReport:
        """Run a job to its end, however often it waits."""
        for _ in range(_WAITS_MAX):
            report = self.turn(job_id, deps)
            if report.chunks_done == report.chunks:
                job_runs.complete(deps or self.deps)
                return self.report(job_id)
            wait(threading.Event(), 0.02)
        raise AssertionError(f"{job_id} does not end: {report}")

    def report(self, job_id: str) -> JobReport:
        """How a job stands."""
        with self.deps.database.transaction() as connection:
            found = job_reports.job(connection, job_id)
        assert found is not None
        return found

    def costs(self, job_id: str) -> dict[str, Decimal]:
        """What each provider was paid for a job."""
        with self.deps.database.transaction() as connection:
            return {
                cost.provider: cost.paid
                for cost in provider_costs.of_job(connection, job_id)
            }

    def charged(self, job_id: str) -> dict[tuple[str, str | None], int]:
        """What a job was charged, by item and by who found it."""
        with self.deps.database.transaction() as connection:
            return {
                (line.item, line.provider): line.credits
                for line in provider_costs.charged(connection, job_id)
            }

    def file(self, job_id: str) -> str:
        """A job's file."""
        with self.deps.artifacts.open(str(self.report(job_id).file_artifact)) as stream:
            return stream.read().decode("utf-8-sig")

    def lookups(self) -> list[tuple[str, ...]]:
        """The state and the vendor's id of each remembered request."""
        with self.deps.database.transaction() as connection:
            rows = connection.execute(
                text("SELECT state, coalesce(vendor_id, '') FROM lookups ORDER BY id")
            )
            return [tuple(row) for row in rows]


@pytest.fixture
def house(
    sandbox: Sandbox, redis_url: str, no_pauses: None, database_url: str, tmp_path: Path
) -> Iterator[House]:
    del no_pauses
    made: list[Wired] = []

    def make(**changed: Any) -> Wired:
        given: dict[str, Any] = {
            "redis_url": redis_url,
            "providers": "directory,hunter",
            "chunk_records": 100,
            "batch_records": 50,
            "lookup_poll_s": 0.05,
            "provider_rest_s": 0.2,
            "retry_base_s": 0.01,
        }
        for vendor, prefix in (
            ("hunter", "hunter"),
            ("people_data_labs", "pdl"),
            ("fullenrich", "fullenrich"),
        ):
            given |= {
                f"{prefix}_key": KEY,
                f"{prefix}_url": f"{sandbox.url}/{vendor}",
                f"{prefix}_rate": "10000/second",
            }
        made.append(job_runs.wire_to(database_url, tmp_path, **(given | changed)))
        return made[-1]

    house = House(sandbox, make, make())
    job_runs.create_license(house.deps, credits_granted=50_000)
    yield house
    for deps in made:
        deps.providers.close()
        deps.database.close()
