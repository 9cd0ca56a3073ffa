"""The limits of providers: the rates of each, and how long an error pauses it."""

import logging
from collections.abc import Mapping, Sequence

from limits import RateLimitItem

from worker.findings.provider_pauses import OUT_OF_CREDITS_S, pause_of
from worker.findings.providers.errors import Misconfigured, ProviderError
from worker.infrastructure.outbound_limits.circuit_breaker import CircuitBreaker
from worker.infrastructure.outbound_limits.pauses import OUT_OF_CREDITS, PROVIDER, Pause
from worker.infrastructure.outbound_limits.rate_limiter import RateLimiter
from worker.infrastructure.outbound_limits.shared_counters import SharedCounters

log = logging.getLogger(__name__)


class ProviderLimits:
    """Lets requests to providers through; to be used inside one event loop."""

    def __init__(
        self,
        redis_url: str,
        rates: Mapping[str, Sequence[RateLimitItem]],
        *,
        failures_max: int,
        rest_s: float,
    ) -> None:
        self._counters = SharedCounters(redis_url, PROVIDER)
        self._breaker = CircuitBreaker(
            self._counters, failures_max=failures_max, rest_s=rest_s
        )
        limiter = RateLimiter(self._counters, self._breaker, rates)
        self.enter = limiter.enter
        """Waits until one more request may be made. Raises `Paused`."""
        self.failed = self._breaker.failed
        self.succeeded = self._breaker.succeeded

    async def note(self, provider: str, error: ProviderError) -> bool:
        """Let all workers know of an error; whether it pauses the provider as such."""
        pause = pause_of(error)
        if pause is None:
            log.info("%s: %s", provider, error)
            await self._breaker.failed(provider, error.until_s)
            return False
        if isinstance(error, Misconfigured):
            log.critical("%s refuses us: %s", provider, error)
        await self._breaker.pause(provider, pause)
        return True

    async def out_of_credits(self, provider: str) -> None:
        """Let nobody ask a provider that said so for a while."""
        await self._breaker.pause(provider, Pause(OUT_OF_CREDITS, OUT_OF_CREDITS_S))

    async def close(self) -> None:
        """Close the connections to Redis."""
        await self._counters.close()
