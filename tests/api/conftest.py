"""A real API over real HTTP, on the test's own database."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from sqlalchemy import text

from storage.access_scopes import Scope
from storage.state_machine import ENDED
from tests.support import job_runs
from worker.api.app import make_api
from worker.infrastructure.clock import wait
from worker.infrastructure.settings import Settings
from worker.jobs.chunk_runner import run_chunk
from worker.jobs.outbox_runner import run_entry
from worker.licenses import api_keys
from worker.wiring import Wired

ADMIN_KEY = "the-key-of-the-tests-1"

_OF_WORK = ("artifacts_url", "batch_records")
"""Settings that the work behind an API has too."""


class Api:
    """Clients of one API, each with a key, and the work behind it."""

    def __init__(self, url: str, deps: Wired) -> None:
        self.url = url
        self.deps = deps
        self._clients: list[httpx.Client] = []
        self.admin = self.client(ADMIN_KEY)

    def client(self, key: str | None) -> httpx.Client:
        """A client that calls with a key, or with none."""
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        client = httpx.Client(base_url=self.url, headers=headers, timeout=30)
        self._clients.append(client)
        return client

    def close(self) -> None:
        """Close all clients and the database."""
        for client in self._clients:
            client.close()
        self.deps.database.close()

    def key(
        self,
        scope: Scope,
        license_id: str | None = None,
        *,
        person: str | None = None,
    ) -> httpx.Client:
        """A client with a new key of this scope, that may name who holds it."""
        _, key = api_keys.create(self.deps, "a test", scope, license_id, person=person)
        return self.client(key)

    def license(self, license_id: str = "acme", **more: object) -> None:
        """Create a license."""
        body = {
            "id": license_id,
            "name": license_id.title(),
            "plan": "V2",
            "payment_term": "monthly",
            "credits": 500,
        }
        made = self.admin.post("/v1/licenses", json=body | more)
        assert made.status_code == 201, made.text

    def work(self) -> None:
        """Do what workers would, until nothing waits."""
        while self._run("chunks", run_chunk) or self._run("outbox", run_entry):
            pass

    def _run(self, table: str, run: Callable[[Wired, int], object]) -> int:
        with self.deps.database.transaction() as connection:
            rows = connection.execute(
                text(f"""
                    SELECT {table}.id FROM {table}
                     WHERE state = 'pending' AND run_at <= clock_timestamp()
                       AND ('{table}' = 'outbox' OR EXISTS (
                            SELECT 1 FROM jobs WHERE id = to_jsonb({table}) ->> 'job_id'
                               AND jobs.state IN ('queued', 'running')))"""),
            )
            waiting = list(rows.scalars())
        for row_id in waiting:
            run(self.deps, row_id)
        return len(waiting)

    def ended(self, job_id: str) -> dict[str, Any]:
        """The job once it has ended."""
        self.work()
        job: dict[str, Any] = self.admin.get(f"/v1/jobs/{job_id}").json()
        assert job["state"] in ENDED, job
        return job


@pytest.fixture
def settings() -> dict[str, object]:
    """What a test sets beside the usual."""
    return {}


@pytest.fixture
def api(
    database_url: str, tmp_path: Path, settings: dict[str, object]
) -> Iterator[Api]:
    with serving(database_url, tmp_path, settings) as api:
        yield api


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """The URL of an app over real HTTP, as long as the block."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    never = threading.Event()
    while not server.started:
        assert thread.is_alive(), "the server has ended before it was ready"
        wait(never, 0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(timeout=15)
        # Whoever still follows something is not waited for.
        server.force_exit = True
        thread.join(timeout=15)


@contextmanager
def serving(
    database_url: str, home: Path, settings: dict[str, object], *, days: float = 0
) -> Iterator[Api]:
    """An API as long as the block, with business time so many days ahead."""
    given = {
        "home": home,
        "database_url": database_url,
        "bootstrap_key": ADMIN_KEY,
        "webhook_allow_private": True,
        **settings,
    }
    work: dict[str, Any] = {
        name: settings[name] for name in _OF_WORK if name in settings
    }
    with served(make_api(Settings(**given))) as url:
        deps = job_runs.wire_to(
            database_url, home, days=days, webhook_allow_private=True, **work
        )
        api = Api(url, deps)
        try:
            yield api
        finally:
            api.close()
