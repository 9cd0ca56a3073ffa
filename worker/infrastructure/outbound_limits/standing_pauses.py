"""The pauses that stand, of all providers or connections, for operators to see.

Read without an event loop, by processes that ask nobody themselves.
"""

from functools import cache
from typing import NamedTuple

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from worker.infrastructure.outbound_limits.pauses import Pause, names_key, pause_key
from worker.infrastructure.outbound_limits.redis_silence import (
    ANSWER_S,
    StillSilent,
    silence_of,
)


class StandingPause(NamedTuple):
    """Who is paused: the name of a provider, or the id of a connection."""

    name: str
    pause: Pause


class StandingPauses:
    """Looks into one Redis, which is left alone for a while where it hangs."""

    def __init__(self, redis_url: str) -> None:
        self._silence = silence_of(redis_url)
        self._redis = Redis.from_url(
            redis_url.replace("redis+socket://", "unix://"),
            socket_timeout=ANSWER_S,
            socket_connect_timeout=ANSWER_S,
            retry=Retry(NoBackoff(), 0),
        )

    def of(self, family: str) -> list[StandingPause] | None:
        """Those of a family, by name; None where Redis does not answer."""
        try:
            self._silence.check()
            found = self._ask(family)
        except StillSilent:
            return None
        except (RedisError, OSError):
            self._silence.start()
            return None
        self._silence.end()
        return found

    def _ask(self, family: str) -> list[StandingPause]:
        names = sorted(self._redis.sscan_iter(names_key(family)))
        with self._redis.pipeline(transaction=False) as pipeline:
            for name in names:
                pipeline.get(pause_key(family, name.decode()))
                pipeline.pttl(pause_key(family, name.decode()))
            answers = pipeline.execute()
        return [
            StandingPause(name.decode(), Pause(reason.decode(), left_ms / 1000))
            for name, reason, left_ms in zip(
                names, answers[::2], answers[1::2], strict=True
            )
            if reason is not None and left_ms > 0
        ]


def pauses_of(redis_url: str | None, family: str) -> dict[str, Pause] | None:
    """The same by name; without a Redis nobody is paused."""
    if redis_url is None:
        return {}
    found = _shared(redis_url).of(family)
    return None if found is None else {one.name: one.pause for one in found}


@cache
def _shared(redis_url: str) -> StandingPauses:
    return StandingPauses(redis_url)
