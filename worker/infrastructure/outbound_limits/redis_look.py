"""Looks into Redis without an event loop, by processes that ask nobody themselves."""

from collections.abc import Callable
from functools import cache
from typing import TypeVar

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from worker.infrastructure.outbound_limits.redis_silence import (
    ANSWER_S,
    StillSilent,
    silence_of,
)

T = TypeVar("T")


class RedisLook:
    """One Redis, which is left alone for a while where it hangs."""

    def __init__(self, redis_url: str) -> None:
        self._silence = silence_of(redis_url)
        self._redis = Redis.from_url(
            redis_url.replace("redis+socket://", "unix://"),
            socket_timeout=ANSWER_S,
            socket_connect_timeout=ANSWER_S,
            retry=Retry(NoBackoff(), 0),
        )

    def ask(self, question: Callable[[Redis], T]) -> T | None:
        """What it answers; None where it does not."""
        try:
            self._silence.check()
            found = question(self._redis)
        except StillSilent:
            return None
        except (RedisError, OSError):
            self._silence.start()
            return None
        self._silence.end()
        return found


@cache
def look_into(redis_url: str) -> RedisLook:
    """The look that all of a process share."""
    return RedisLook(redis_url)
