"""That a Redis does not answer, remembered in one place for a whole process.

Whoever waits for it in vain tells the others, who go on without it at once. After a
rest one asks again, and the others go on until it has been answered.
"""

from functools import cache

from redis.exceptions import RedisError

from worker.infrastructure.clock import monotonic_s

ANSWER_S = 1.5
"""A Redis that has not answered by then does not."""

_REST_S = 5.0


class StillSilent(RedisError):
    """It did not answer a moment ago, and is not asked."""


class RedisSilence:
    """Whether to ask a Redis now."""

    def __init__(self) -> None:
        self._until_s: float | None = None

    def check(self) -> None:
        """Raise `StillSilent` where it is not to be asked now."""
        if self.lasts():
            raise StillSilent("it did not answer a moment ago")

    def lasts(self) -> bool:
        """Whether it did not answer a moment ago, or somebody is finding out."""
        until_s, now_s = self._until_s, monotonic_s()
        if until_s is None:
            return False
        if now_s < until_s:
            return True
        self._until_s = now_s + ANSWER_S + _REST_S
        return False

    def start(self) -> None:
        """It did not answer."""
        self._until_s = monotonic_s() + _REST_S

    def end(self) -> None:
        """It did."""
        self._until_s = None


@cache
def silence_of(url: str) -> RedisSilence:
    """What is known of a Redis, by all who use it."""
    del url
    return RedisSilence()
