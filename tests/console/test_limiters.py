"""How much of a provider's and a CRM's rate is left, as operators see it."""

import asyncio
import re

import pytest
from sqlalchemy import text

from worker.connections.connection_limits import ConnectionLimits
from worker.connections.connectors.connector import Limit
from worker.findings.provider_registry import rates_of
from worker.infrastructure.outbound_limits.circuit_breaker import CircuitBreaker
from worker.infrastructure.outbound_limits.pauses import PROVIDER
from worker.infrastructure.outbound_limits.rate_limiter import RateLimiter
from worker.infrastructure.outbound_limits.shared_counters import SharedCounters
from worker.infrastructure.settings import Settings


@pytest.fixture
def settings(redis_url, no_pauses):
    return {
        "providers": "directory,hunter",
        "hunter_key": "k" * 20,
        "hunter_rate": "19/minute",
        "redis_url": redis_url,
    }


@pytest.fixture
def worker(settings) -> Settings:
    """What another process is set to, which asks others."""
    return Settings(**settings)


def _words(shown: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", shown).split())


def test_the_providers_show_what_is_left_of_their_rates(browse, worker):
    async def ask_twice() -> None:
        counters = SharedCounters(worker.limits_url, PROVIDER)
        breaker = CircuitBreaker(counters, failures_max=3, rest_s=60)
        rates = {"hunter": rates_of(worker, "hunter")}
        limiter = RateLimiter(counters, breaker, rates)
        for _ in range(2):
            await limiter.enter("hunter")
        await counters.close()

    asyncio.run(ask_twice())
    shown = _words(browse().open("/console/providers").text)
    assert "17 of 19 in 1 min left" in shown


def test_a_connection_shows_what_is_left_of_the_limit_its_crm_has_told(
    api, browse, worker
):
    api.license()
    with api.deps.database.transaction() as connection:
        connection.execute(
            text("""
                INSERT INTO connections (id, license_id, connector, name, settings,
                                         secrets)
                VALUES ('crm', 'acme', 'webhook', 'crm', '{}', '')""")
        )
    limits = ConnectionLimits(worker)
    limits.notice("crm", Limit(100, 1.0))
    limits.close()
    shown = _words(browse().open("/console/connections").text)
    assert re.search(r"9[45] of 95 in 1 s left", shown)
