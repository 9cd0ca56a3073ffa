"""How much others are asked, by all workers together: shared through Redis.

`family` tells providers from the connections to CRMs, which are told apart by name.

A provider has rates, and may be paused: for as long as it said, or because it failed
so often within a minute that asking it goes on doing harm (the breaker). The first
failure after such a pause begins the next one; a success ends the count. While Redis
does not answer, each process goes by what it knows itself.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage, RedisStorage, Storage
from limits.aio.strategies import MovingWindowRateLimiter
from redis.asyncio import ConnectionPool, Redis
from redis.exceptions import RedisError

from worker.infrastructure.clock import monotonic_s, until_s
from worker.infrastructure.pauses import (
    DOWN,
    PREFIX,
    RATE_LIMITED,
    OwnPauses,
    Pause,
    Paused,
    Pauses,
    SharedPauses,
)

log = logging.getLogger(__name__)

_LOOK_AGAIN_S = 0.2
"""For so long a process believes what it last heard of a pause."""
_LEAST_WAIT_S = 0.005
_REDIS_TIMEOUT_S = 5.0
_BLOCKS = 20
"""Into so many parts a rate is cut where it is large: each costs a trip to Redis."""
_PATIENCE_S = 3.0
"""Shorter pauses are waited for where they are met."""


class _Counters(NamedTuple):
    """What counts: in Redis, or in this process."""

    limiter: MovingWindowRateLimiter
    pauses: Pauses


class _Permits:
    """Requests that this process may make, counted in Redis some at a time.

    What is not used soon is lost: it would be used in a later window.
    """

    def __init__(self, rate: RateLimitItem, counter: str, block: int) -> None:
        self._rate = rate
        self._counter = counter
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

    async def fetch(self, counters: _Counters) -> Pause | None:
        """Get some; where there are none, how long until there is one.

        For all who wait together: were each to get its own, most would be lost.
        """
        async with self._fetching:
            return None if self._any() else await self._fetched(counters)

    def _any(self) -> bool:
        return self._left > 0 and monotonic_s() <= self._until_s

    async def _fetched(self, counters: _Counters) -> Pause | None:
        limiter = counters.limiter
        for count in dict.fromkeys((self._block, 1)):
            if await limiter.hit(self._rate, self._counter, cost=count):
                self._left = count
                self._until_s = monotonic_s() + min(1.0, self._rate.get_expiry())
                return None
        window = await limiter.get_window_stats(self._rate, self._counter)
        return Pause(RATE_LIMITED, max(until_s(window.reset_time), _LEAST_WAIT_S))


class RateLimiter:
    """Lets requests to providers through; to be used inside one event loop."""

    def __init__(
        self,
        redis_url: str,
        rates: Mapping[str, Sequence[RateLimitItem]],
        *,
        failures_max: int,
        rest_s: float,
        family: str = "provider",
        blocks: int | None = _BLOCKS,
    ) -> None:
        self._family = family
        self._blocks = blocks
        self._permits: dict[str, list[_Permits]] = {}
        for provider, given in rates.items():
            self.allow(provider, given)
        self._failures = RateLimitItemPerMinute(failures_max)
        self._rest_s = rest_s
        plain = redis_url.replace("redis+socket://", "unix://")
        self._pool = ConnectionPool.from_url(plain, socket_timeout=_REDIS_TIMEOUT_S)
        self._shared = _Counters(
            MovingWindowRateLimiter(_storage(redis_url, self._pool)),
            SharedPauses(Redis(connection_pool=self._pool), family),
        )
        self._own = _Counters(MovingWindowRateLimiter(MemoryStorage()), OwnPauses())
        self._heard: dict[str, tuple[Pause | None, float]] = {}
        self._failing: set[str] = set()

    def allow(self, provider: str, rates: Sequence[RateLimitItem]) -> None:
        """Keep to these rates from now on, and to no others; without any, to none."""
        self._permits[provider] = [
            _Permits(rate, self._counter(provider), self._block(rate)) for rate in rates
        ]

    async def remember(self, name: str, what: str) -> None:
        """Let other processes know something of whom they ask."""
        try:
            await Redis(connection_pool=self._pool).set(self._note(name), what)
        except (RedisError, OSError) as error:
            log.warning("what is known of %s stays here: %s", name, error)

    async def recall(self, name: str) -> str | None:
        """What another process has let know."""
        try:
            found = await Redis(connection_pool=self._pool).get(self._note(name))
        except (RedisError, OSError) as error:
            log.warning("what others know of %s stays there: %s", name, error)
            return None
        return found.decode() if isinstance(found, bytes) else found

    def _note(self, name: str) -> str:
        return f"{PREFIX}:{self._family}:{name}:known"

    def _block(self, rate: RateLimitItem) -> int:
        """How many permits are fetched at once; without blocks each is."""
        return max(1, rate.amount // self._blocks) if self._blocks else 1

    def _counter(self, provider: str) -> str:
        return f"{PREFIX}:{self._family}:{provider}"

    async def close(self) -> None:
        """Close the connections to Redis."""
        await self._pool.aclose()

    async def enter(self, provider: str) -> None:
        """Wait until one more request may be made. Raises `Paused`."""
        while True:
            pause = await self.pause_of(provider)
            if pause is None:
                pause = await self._counted(provider)
            if pause is None:
                return
            if pause.left_s > _PATIENCE_S:
                raise Paused(pause)
            await asyncio.sleep(max(pause.left_s, _LEAST_WAIT_S))

    async def pause_of(self, provider: str) -> Pause | None:
        """The pause that a provider is in, as heard a moment ago."""
        heard, until_s = self._heard.get(provider, (None, 0.0))
        now_s = monotonic_s()
        if now_s < until_s:
            return heard
        pause: Pause | None = await self._with(
            lambda counters: counters.pauses.of(provider)
        )
        known_s = _LOOK_AGAIN_S if pause is None else min(pause.left_s, _LOOK_AGAIN_S)
        self._heard[provider] = (pause, now_s + known_s)
        return pause

    async def pause(self, provider: str, pause: Pause) -> None:
        """Let nobody ask a provider for a while."""
        log.warning("%s: %s for %.1f s", provider, pause.reason, pause.left_s)
        await self._with(lambda counters: counters.pauses.set(provider, pause))
        self._heard.pop(provider, None)

    async def failed(self, provider: str, until_s: float | None = None) -> None:
        """Count a failure; after too many the provider rests."""
        self._failing.add(provider)
        if until_s is not None:
            await self.pause(provider, Pause(DOWN, until_s))
        elif not await self._with(lambda counters: self._may_fail(counters, provider)):
            await self.pause(provider, Pause(DOWN, self._rest_s))

    async def _may_fail(self, counters: _Counters, provider: str) -> bool:
        counter = self._counter(provider)
        await counters.limiter.hit(self._failures, counter, "failures")
        return await counters.limiter.test(self._failures, counter, "failures")

    async def succeeded(self, provider: str) -> None:
        """Forget the failures of a provider."""
        if provider in self._failing:
            self._failing.discard(provider)
            await self._with(
                lambda counters: counters.limiter.clear(
                    self._failures, self._counter(provider), "failures"
                )
            )

    async def _counted(self, provider: str) -> Pause | None:
        """Count one request; where a rate is used up, how long until it is not."""
        for permits in self._permits.get(provider, ()):
            while not permits.use():
                pause: Pause | None = await self._with(permits.fetch)
                if pause is not None:
                    return pause
        return None

    async def _with(self, work: Callable[[_Counters], Any]) -> Any:  # noqa: ANN401 - whatever the work comes to
        try:
            return await work(self._shared)
        except (RedisError, OSError) as error:
            log.warning("requests are limited by this process alone: %s", error)
            return await work(self._own)


def _storage(url: str, pool: ConnectionPool) -> Storage:
    # Its own scheme for a socket is redis+unix.
    plain = url.replace("redis+socket://", "unix://").replace(
        "unix://", "redis+unix://"
    )
    return RedisStorage(
        f"async+{plain}",
        implementation="redispy",
        connection_pool=pool,  # type: ignore[arg-type]
    )
