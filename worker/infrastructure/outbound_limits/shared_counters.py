"""What all workers count together, in Redis, and each for itself while Redis is away.

`family` tells providers from the connections to CRMs, which are told apart by name.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import NamedTuple, TypeVar

from limits.aio.storage import MemoryStorage, RedisStorage, Storage
from limits.aio.strategies import MovingWindowRateLimiter
from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from worker.infrastructure.outbound_limits.pauses import (
    PREFIX,
    OwnPauses,
    PauseStore,
    SharedPauses,
)
from worker.infrastructure.outbound_limits.redis_silence import (
    ANSWER_S,
    StillSilent,
    silence_of,
)

log = logging.getLogger(__name__)

T = TypeVar("T")


def counted_as(family: str, name: str) -> str:
    """The key that somebody's requests are counted under."""
    return f"{PREFIX}:{family}:{name}"


def noted_as(family: str, name: str) -> str:
    """The key of what processes let each other know of somebody."""
    return f"{counted_as(family, name)}:known"


class Counters(NamedTuple):
    """What counts: in Redis, or in this process."""

    windows: MovingWindowRateLimiter
    pauses: PauseStore


class SharedCounters:
    """Counts in Redis or, while it does not answer, in this process."""

    def __init__(self, redis_url: str, family: str) -> None:
        self.family = family
        plain = redis_url.replace("redis+socket://", "unix://")
        self._silence = silence_of(redis_url)
        self._pool = ConnectionPool.from_url(
            plain,
            socket_timeout=ANSWER_S,
            # What was not answered is counted here, at once.
            retry=Retry(NoBackoff(), 0),
        )
        self._shared = Counters(
            MovingWindowRateLimiter(_storage(redis_url, self._pool)),
            SharedPauses(Redis(connection_pool=self._pool), family),
        )
        self._own = Counters(MovingWindowRateLimiter(MemoryStorage()), OwnPauses())

    async def run(self, work: Callable[[Counters], Awaitable[T]]) -> T:
        """Do some counting."""
        try:
            return await self._asked(work(self._shared))
        except (RedisError, OSError) as error:
            _tell("requests are limited by this process alone", error)
            return await work(self._own)

    async def _asked(self, answer: Awaitable[T]) -> T:
        """What Redis answers. Raises where it does not, at once where that is known.

        The bound holds for all of it: the name, the connection, and turns to wait for.
        """
        try:
            self._silence.check()
        except StillSilent:
            _forget(answer)
            raise
        try:
            async with asyncio.timeout(ANSWER_S):
                found = await answer
        except (RedisError, OSError):
            self._silence.start()
            raise
        self._silence.end()
        return found

    def key(self, name: str) -> str:
        """What somebody's requests are counted under."""
        return counted_as(self.family, name)

    async def remember(self, name: str, what: str) -> None:
        """Let other processes know something of whom they ask."""
        try:
            client = Redis(connection_pool=self._pool)
            await self._asked(client.set(self._note(name), what))
        except (RedisError, OSError) as error:
            _tell(f"what is known of {name} stays here", error)

    async def recall(self, name: str) -> str | None:
        """What another process has let know."""
        try:
            client = Redis(connection_pool=self._pool)
            found = await self._asked(client.get(self._note(name)))
        except (RedisError, OSError) as error:
            _tell(f"what others know of {name} stays there", error)
            return None
        return found.decode() if isinstance(found, bytes) else found

    def _note(self, name: str) -> str:
        return noted_as(self.family, name)

    async def close(self) -> None:
        """Close the connections to Redis."""
        await self._pool.aclose()


def _tell(what: str, error: Exception) -> None:
    # Once each time it is asked, not once a request.
    if not isinstance(error, StillSilent):
        log.warning("%s: %r", what, error)


def _forget(answer: Awaitable[object]) -> None:
    """Let a coroutine that nobody waits for end before it has begun."""
    if isinstance(answer, Coroutine):
        answer.close()


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
