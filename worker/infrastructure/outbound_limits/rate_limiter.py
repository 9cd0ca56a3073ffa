"""The rate limiter: lets requests through, as many as all workers together may make."""

import asyncio
from collections.abc import Mapping, Sequence

from limits import RateLimitItem

from worker.infrastructure.clock import monotonic_s, until_s
from worker.infrastructure.outbound_limits.circuit_breaker import CircuitBreaker
from worker.infrastructure.outbound_limits.pauses import RATE_LIMITED, Pause, Paused
from worker.infrastructure.outbound_limits.shared_counters import (
    Counters,
    SharedCounters,
)

_LEAST_WAIT_S = 0.005
_BLOCKS = 20
"""Into so many parts a rate is cut where it is large: each costs a trip to Redis."""
_PATIENCE_S = 3.0
"""Shorter pauses are waited for where they are met."""


class _Permits:
    """Requests that this process may make, counted in Redis some at a time.

    What is not used soon is lost: it would be used in a later window.
    """

    def __init__(self, rate: RateLimitItem, key: str, block: int) -> None:
        self._rate = rate
        self._key = key
        self._block = block
        self._left = 0
        self._until_s = 0.0
        self._fetching = asyncio.Lock()

    def use(self) -> bool:
        """Use one, if there is one."""
        if not self._any():
            return False
        self._left -= 1
        return True

    async def fetch(self, counters: Counters) -> Pause | None:
        """Get some; where there are none, how long until there is one.

        For all who wait together: were each to get its own, most would be lost.
        """
        async with self._fetching:
            return None if self._any() else await self._fetched(counters)

    def _any(self) -> bool:
        return self._left > 0 and monotonic_s() <= self._until_s

    async def _fetched(self, counters: Counters) -> Pause | None:
        windows = counters.windows
        for count in dict.fromkeys((self._block, 1)):
            if await windows.hit(self._rate, self._key, cost=count):
                self._left = count
                self._until_s = monotonic_s() + min(1.0, self._rate.get_expiry())
                return None
        window = await windows.get_window_stats(self._rate, self._key)
        return Pause(RATE_LIMITED, max(until_s(window.reset_time), _LEAST_WAIT_S))


class RateLimiter:
    """Lets requests through, one by one; to be used inside one event loop.

    Whoever is paused is not asked, whatever its rates would let through.
    """

    def __init__(
        self,
        counters: SharedCounters,
        breaker: CircuitBreaker,
        rates: Mapping[str, Sequence[RateLimitItem]],
        *,
        blocks: int | None = _BLOCKS,
    ) -> None:
        self._counters = counters
        self._breaker = breaker
        self._blocks = blocks
        self._permits: dict[str, list[_Permits]] = {}
        for name, given in rates.items():
            self.allow(name, given)

    def allow(self, name: str, rates: Sequence[RateLimitItem]) -> None:
        """Keep to these rates from now on, and to no others; without any, to none."""
        key = self._counters.key(name)
        self._permits[name] = [_Permits(rate, key, self._block(rate)) for rate in rates]

    def _block(self, rate: RateLimitItem) -> int:
        """How many permits are fetched at once; without blocks each is."""
        return max(1, rate.amount // self._blocks) if self._blocks else 1

    def lets_through(self, name: str) -> bool:
        """Whether a request may be made that is neither counted nor asked about.

        Unlike the rest it may be called outside the loop.
        """
        return not self._permits.get(name) and self._breaker.is_free(name)

    async def enter(self, name: str) -> None:
        """Wait until one more request may be made. Raises `Paused`."""
        while True:
            pause = await self._breaker.pause_of(name)
            if pause is None:
                pause = await self._counted(name)
            if pause is None:
                return
            if pause.left_s > _PATIENCE_S:
                raise Paused(pause)
            await asyncio.sleep(max(pause.left_s, _LEAST_WAIT_S))

    async def _counted(self, name: str) -> Pause | None:
        """Count one request; where a rate is used up, how long until it is not."""
        for permits in self._permits.get(name, ()):
            while not permits.use():
                pause = await self._counters.run(permits.fetch)
                if pause is not None:
                    return pause
        return None
