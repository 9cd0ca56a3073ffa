"""Pauses: why somebody is not asked for a while, known to all workers through Redis.

The circuit breaker begins them; others have asked for them in so many words.
"""

from typing import TYPE_CHECKING, NamedTuple, Protocol

from worker.infrastructure.clock import monotonic_s

if TYPE_CHECKING:
    from redis.asyncio import Redis

PREFIX = "holdfast"
"""What all keys in Redis begin with."""

PROVIDER, CONNECTION = "provider", "connection"
"""Whose pauses there are."""

NAMES_KEPT_S = 7 * 24 * 3600
"""Longer than any pause lasts."""

DOWN = "provider_down"
RATE_LIMITED = "rate_limited"
OUT_OF_CREDITS = "out_of_credits"
MISCONFIGURED = "provider_misconfigured"
DAILY_LIMIT = "daily_limit"
"""Why a connection rests whose budget of a day is used up."""


class Pause(NamedTuple):
    """Why a provider is not asked, and for how many seconds more."""

    reason: str
    left_s: float


class Paused(Exception):
    """A provider is not to be asked now, nor soon."""

    def __init__(self, pause: Pause) -> None:
        super().__init__(f"{pause.reason} for {pause.left_s:.0f} s")
        self.pause = pause


class PauseStore(Protocol):
    """Where pauses are noted."""

    async def of(self, provider: str) -> Pause | None:
        """The pause that a provider is in."""

    async def set(self, provider: str, pause: Pause) -> None:
        """Pause a provider, in the place of a shorter pause."""


class OwnPauses:
    """Pauses that this process alone knows of."""

    def __init__(self) -> None:
        self._until_s: dict[str, tuple[str, float]] = {}

    async def of(self, provider: str) -> Pause | None:
        """The pause that a provider is in."""
        reason, until_s = self._until_s.get(provider, ("", 0.0))
        left_s = until_s - monotonic_s()
        return Pause(reason, left_s) if left_s > 0 else None

    async def set(self, provider: str, pause: Pause) -> None:
        """Pause a provider, in the place of a shorter pause."""
        now = await self.of(provider)
        if now is None or now.left_s < pause.left_s:
            self._until_s[provider] = (pause.reason, monotonic_s() + pause.left_s)


class SharedPauses:
    """Pauses that all workers know of: keys that expire."""

    def __init__(self, redis: "Redis", family: str) -> None:
        self._redis = redis
        self._family = family

    async def of(self, provider: str) -> Pause | None:
        """The pause that a provider is in."""
        async with self._redis.pipeline(transaction=True) as pipeline:
            pipeline.get(self._key(provider))
            pipeline.pttl(self._key(provider))
            reason, left_ms = await pipeline.execute()
        if reason is None or left_ms <= 0:
            return None
        return Pause(reason.decode(), left_ms / 1000)

    async def set(self, provider: str, pause: Pause) -> None:
        """Pause a provider, in the place of a shorter pause."""
        now = await self.of(provider)
        if now is None or now.left_s < pause.left_s:
            left_ms = max(1, round(pause.left_s * 1000))
            async with self._redis.pipeline(transaction=True) as pipeline:
                pipeline.set(self._key(provider), pause.reason, px=left_ms)
                pipeline.sadd(names_key(self._family), provider)
                pipeline.expire(names_key(self._family), NAMES_KEPT_S)
                await pipeline.execute()

    def _key(self, provider: str) -> str:
        return pause_key(self._family, provider)


def pause_key(family: str, name: str) -> str:
    """Where the pause of somebody stands."""
    return f"{PREFIX}:{family}:{name}:pause"


def names_key(family: str) -> str:
    """Where those stand that were paused of late, for whoever asks who is."""
    return f"{PREFIX}:{family}:paused"
