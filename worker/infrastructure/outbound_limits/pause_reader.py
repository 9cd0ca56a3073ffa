"""The pauses that workers have noted, for those who only look."""

from collections.abc import Sequence

from redis import ConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from worker.infrastructure.outbound_limits.pauses import PREFIX, Pause
from worker.infrastructure.outbound_limits.redis_silence import (
    ANSWER_S,
    StillSilent,
    silence_of,
)

PROVIDERS, CONNECTIONS = "provider", "connection"
"""The families of those who are asked."""


class PauseReader:
    """Reads from the Redis that all workers count in; without one nobody is paused."""

    def __init__(self, redis_url: str | None) -> None:
        self._redis: Redis | None = None
        if redis_url is not None:
            self._silence = silence_of(redis_url)
            pool = ConnectionPool.from_url(
                redis_url.replace("redis+socket://", "unix://"),
                socket_timeout=ANSWER_S,
                socket_connect_timeout=ANSWER_S,
                retry=Retry(NoBackoff(), 0),
            )
            self._redis = Redis(connection_pool=pool)

    def of(self, family: str, names: Sequence[str]) -> dict[str, Pause] | None:
        """Those of some that are in a pause; None where Redis does not answer."""
        if self._redis is None or not names:
            return {}
        try:
            self._silence.check()
            found = self._asked(family, names)
        except StillSilent:
            return None
        except (RedisError, OSError):
            self._silence.start()
            return None
        self._silence.end()
        return found

    def _asked(self, family: str, names: Sequence[str]) -> dict[str, Pause]:
        assert self._redis is not None  # noqa: S101 - checked before
        with self._redis.pipeline(transaction=False) as pipeline:
            for name in names:
                key = f"{PREFIX}:{family}:{name}:pause"
                pipeline.get(key)
                pipeline.pttl(key)
            told = pipeline.execute()
        pairs = zip(names, told[::2], told[1::2], strict=True)
        return {
            name: Pause(reason.decode(), left_ms / 1000)
            for name, reason, left_ms in pairs
            if reason is not None and left_ms > 0
        }

    def close(self) -> None:
        """Close its connections."""
        if self._redis is not None:
            self._redis.close()
