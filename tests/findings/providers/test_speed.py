"""Look-ups are as fast as the vendor and the agreed number of requests allow."""

import asyncio
import time

import aiohttp
import pytest

from pricing.plans import Item
from tests.findings.providers.provider_calls import crowd
from worker.sandbox import Behaviour

_AT_ONCE = 100
_REQUESTS = 3_000
_LEAST = 0.9
"""The promise: our look-ups a second, as a share of a bare loop's."""


async def _at_once(one, persons):
    limiter = asyncio.Semaphore(_AT_ONCE)

    async def within(person):
        async with limiter:
            await one(person)

    began_s = time.perf_counter()
    await asyncio.gather(*map(within, persons))
    return len(persons) / (time.perf_counter() - began_s)


@pytest.mark.alone
def test_look_ups_keep_up_with_a_bare_loop(with_box, slack, capsys):
    async def scenario(box):
        await box.behave("hunter", Behaviour(latency_ms=50))
        persons = crowd(_REQUESTS)
        connector = aiohttp.TCPConnector(limit=_AT_ONCE)
        async with aiohttp.ClientSession(connector=connector) as session:

            async def bare(person):
                params = {
                    "first_name": person.first_name,
                    "last_name": person.last_name,
                    "domain": person.company_domain,
                }
                url = f"{box.url}/hunter/v2/email-finder"
                headers = {"X-API-KEY": "k"}
                async with session.get(url, params=params, headers=headers) as response:
                    await response.json()

            async def ours(person):
                await box.hunter.look_up([person], frozenset({Item.EMAIL}))

            rounds = []
            for _ in range(3):
                bare_rate = await _at_once(bare, persons)
                rounds.append(await _at_once(ours, persons) / bare_rate)
        return rounds, bare_rate

    rounds, bare_rate = with_box(scenario)
    with capsys.disabled():
        shares = ", ".join(f"{share:.2f}" for share in rounds)
        print(f" {shares} of {bare_rate:,.0f} requests/s ", end="")
    assert max(rounds) >= _LEAST / slack
