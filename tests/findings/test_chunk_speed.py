"""A chunk looks up as fast as the vendor and the agreed number of requests allow."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator

import aiohttp
import pytest

from tests.findings.conftest import House
from worker.heap import freeze_heap

_AT_ONCE = 100
_PERSONS = 4_000
_ROUNDS_MIN = 3
_ROUNDS_MAX = 8
_LATENCY_MS = 50
_LEAST = 0.9
"""The promise: persons looked up and delivered, as a share of a bare loop's."""


@pytest.fixture
def vendor_url() -> Iterator[str]:
    """A sandbox in a process of its own, as a vendor would be."""
    words = ("sandbox", "--port", "0", "--latency-ms", str(_LATENCY_MS))
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "worker.cli", *words],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        yield process.stdout.readline().removeprefix("ready ").strip()
        process.terminate()


async def _bare(url: str, round_: int) -> None:
    """The same questions, with nothing around them."""
    limiter = asyncio.Semaphore(_AT_ONCE)
    connector = aiohttp.TCPConnector(limit=_AT_ONCE)

    async with aiohttp.ClientSession(connector=connector) as session:

        async def ask(number: int) -> None:
            params = {
                "first_name": f"Bare{round_}x{number}",
                "last_name": "Lovelace",
                "domain": "engine.example",
            }
            headers = {"X-API-KEY": "k"}
            async with (
                limiter,
                session.get(
                    f"{url}/hunter/v2/email-finder", params=params, headers=headers
                ) as response,
            ):
                await response.json()

        await asyncio.gather(*map(ask, range(_PERSONS)))


@pytest.mark.alone
def test_a_chunk_keeps_up_with_a_bare_loop(house, vendor_url, slack, capsys):
    deps = house.another(
        providers="hunter",
        hunter_url=f"{vendor_url}/hunter",
        hunter_rate="10000/second",
        provider_concurrency=_AT_ONCE,
        chunk_records=_PERSONS,
        batch_records=500,
    )
    quick = House(house.sandbox, house.make, deps)
    # As a worker's process does when it starts.
    freeze_heap()
    shares: list[float] = []
    while len(shares) < _ROUNDS_MIN or (
        max(shares) < _LEAST / slack and len(shares) < _ROUNDS_MAX
    ):
        round_ = len(shares)
        began_s = time.perf_counter()
        asyncio.run(_bare(vendor_url, round_))
        bare_s = time.perf_counter() - began_s
        job_id = quick.submit([f"p{round_}x{number}" for number in range(_PERSONS)])
        began_s = time.perf_counter()
        report = quick.turn(job_id)
        shares.append(bare_s / (time.perf_counter() - began_s))
        assert report.chunks_done == 1
    with capsys.disabled():
        told = ", ".join(f"{share:.2f}" for share in shares)
        print(f" {told} of {_PERSONS / bare_s:,.0f} persons/s ", end="")
    assert max(shares) >= _LEAST / slack
