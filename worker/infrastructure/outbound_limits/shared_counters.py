"""What all workers count together, in Redis, and each for itself while Redis is away.

`family` tells providers from the connections to CRMs, which are told apart by name.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import NamedTuple, TypeVar

from limits.aio.storage import MemoryStorage, RedisStorage, Storage
from limits.aio.strategies import MovingWindowRateLimiter
from redis.asyncio import ConnectionPool, Redis
from redis.exceptions import RedisError

from worker.infrastructure.outbound_limits.pauses import (
    PREFIX,
    OwnPauses,
    PauseStore,
    SharedPauses,
)

log = logging.getLogger(__name__)

T = TypeVar("T")

_REDIS_TIMEOUT_S = 5.0


class Counters(NamedTuple):
    """What counts: in Redis, or in this process."""

    windows: MovingWindowRateLimiter
    pauses: PauseStore


class SharedCounters:
    """Counts in Redis or, while it does not answer, in this process."""

    def __init__(self, redis_url: str, family: str) -> None:
        self._family = family
        plain = redis_url.replace("redis+socket://", "unix://")
        self._pool = ConnectionPool.from_url(plain, socket_timeout=_REDIS_TIMEOUT_S)
        self._shared = Counters(
            MovingWindowRateLimiter(_storage(redis_url, self._pool)),
            SharedPauses(Redis(connection_pool=self._pool), family),
        )
        self._own = Counters(MovingWindowRateLimiter(MemoryStorage()), OwnPauses())

    async def run(self, work: Callable[[Counters], Awaitable[T]]) -> T:
        """Do some counting."""
        try:
            return await work(self._shared)
        except (RedisError, OSError) as error:
            log.warning("requests are limited by this process alone: %s", error)
            return await work(self._own)

    def key(self, name: str) -> str:
        """What somebody's requests are counted under."""
        return f"{PREFIX}:{self._family}:{name}"

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
        return f"{self.key(name)}:known"

    async def close(self) -> None:
        """Close the connections to Redis."""
        await self._pool.aclose()


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
