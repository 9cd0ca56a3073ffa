"""The sandbox over real HTTP, and the providers in front of it."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import aiohttp
import pytest
from aiohttp import web

from worker.findings.providers.fullenrich import FullEnrich
from worker.findings.providers.http import Http
from worker.findings.providers.hunter import Hunter
from worker.findings.providers.people_data_labs import PeopleDataLabs
from worker.sandbox import Behaviour, make_sandbox

_T = TypeVar("_T")

KEY = "key-of-the-tests"


@dataclass(frozen=True, slots=True)
class Box:
    """A running sandbox, and what asks it."""

    url: str
    http: Http
    session: aiohttp.ClientSession

    @property
    def hunter(self) -> Hunter:
        return Hunter(self.http, key=KEY, url=f"{self.url}/hunter", wait_s=0.01)

    @property
    def people_data_labs(self) -> PeopleDataLabs:
        url = f"{self.url}/people_data_labs"
        return PeopleDataLabs(self.http, key=KEY, url=url)

    @property
    def fullenrich(self) -> FullEnrich:
        return FullEnrich(self.http, key=KEY, url=f"{self.url}/fullenrich")

    async def behave(self, vendor: str, behaviour: Behaviour) -> None:
        """Have a vendor behave so from now on."""
        url = f"{self.url}/_sandbox/{vendor}"
        async with self.session.put(url, json=asdict(behaviour)) as response:
            assert response.status == 200, await response.text()

    async def tally(self, vendor: str) -> dict[str, Any]:
        """What a vendor has done so far."""
        async with self.session.get(f"{self.url}/_sandbox/{vendor}") as response:
            answer: dict[str, Any] = await response.json()
            return answer


@asynccontextmanager
async def _box(timeout_s: float) -> AsyncIterator[Box]:
    runner = web.AppRunner(make_sandbox(), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    http = Http(timeout_s=timeout_s)
    try:
        async with aiohttp.ClientSession() as session:
            yield Box(f"http://{host}:{port}", http, session)
    finally:
        await http.close()
        await runner.cleanup()


@pytest.fixture
def with_box() -> Callable[[Callable[[Box], Awaitable[_T]]], _T]:
    """Runs what a test does with a sandbox."""

    def run(scenario: Callable[[Box], Awaitable[_T]], *, timeout_s: float = 5) -> _T:
        async def inside() -> _T:
            async with _box(timeout_s) as box:
                return await scenario(box)

        return asyncio.run(inside())

    return run


@pytest.fixture
def unused_port() -> int:
    """A port where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
    return port
