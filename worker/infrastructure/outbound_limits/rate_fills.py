"""How full the rate limiters are, for operators to see."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from redis import Redis

from worker.infrastructure.clock import until_s
from worker.infrastructure.outbound_limits.redis_look import look_into
from worker.infrastructure.outbound_limits.shared_counters import counted_as, noted_as

if TYPE_CHECKING:
    from limits import RateLimitItem

Rates = Sequence["RateLimitItem"]


class RateFill(NamedTuple):
    """One rate: of `requests` in `window_s` seconds, `left` may be made now."""

    requests: int
    window_s: int
    left: int
    free_in_s: float
    """Until the oldest request that is counted is forgotten."""


Fills = dict[str, list[RateFill]]


def fills_of(
    redis_url: str | None, family: str, rates: Mapping[str, Rates]
) -> Fills | None:
    """The rates of each by its name; None where there is no Redis, or no answer."""
    if redis_url is None:
        return None
    return look_into(redis_url).ask(lambda redis: _fills(redis, family, rates))


def fills_noted(
    redis_url: str | None,
    family: str,
    names: Sequence[str],
    rates_of: Callable[[str], Rates],
) -> Fills | None:
    """The same for rates that workers have let each other know of."""
    if redis_url is None or not names:
        return None
    keys = [noted_as(family, name) for name in names]

    def found(redis: Redis) -> Fills:
        noted = zip(names, redis.mget(keys), strict=True)
        known = {
            name: rates_of(what.decode())
            for name, what in noted
            if isinstance(what, bytes)
        }
        return _fills(redis, family, known)

    return look_into(redis_url).ask(found)


def _fills(redis: Redis, family: str, rates: Mapping[str, Rates]) -> Fills:
    from limits.storage import RedisStorage  # noqa: PLC0415 - only where there are any
    from limits.strategies import MovingWindowRateLimiter  # noqa: PLC0415 - the same

    pool = redis.connection_pool
    windows = MovingWindowRateLimiter(RedisStorage("redis://", connection_pool=pool))

    def fill(rate: "RateLimitItem", key: str) -> RateFill:
        stats = windows.get_window_stats(rate, key)
        free_in_s = max(0.0, until_s(stats.reset_time))
        return RateFill(rate.amount, rate.get_expiry(), stats.remaining, free_in_s)

    return {
        name: [fill(rate, counted_as(family, name)) for rate in given]
        for name, given in rates.items()
    }
