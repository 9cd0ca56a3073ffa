"""The limits of connections: one for each, shared by all workers, fed by the vendor.

What a CRM's headers say of its limit is taken, less a share for whoever else uses the
same account and for clocks that differ; and it is spread over the window, so that a
batch never waits for long where it could be paced.
"""

from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from math import ceil, floor

from limits import RateLimitItem, RateLimitItemPerSecond

from worker.connections.connectors.connector import Limit
from worker.infrastructure.clock import monotonic_s
from worker.infrastructure.errors import NotConfigured
from worker.infrastructure.event_loop_thread import EventLoopThread
from worker.infrastructure.outbound_limits.circuit_breaker import CircuitBreaker
from worker.infrastructure.outbound_limits.pauses import (
    CONNECTION,
    RATE_LIMITED,
    Pause,
    Paused,
)
from worker.infrastructure.outbound_limits.rate_limiter import RateLimiter
from worker.infrastructure.outbound_limits.shared_counters import SharedCounters
from worker.infrastructure.settings import Settings

_SHARE = 0.95
_SPREAD = 1.2
"""So much faster than evenly: what a pause has cost can be made up for."""
_USED_UP_SHARE = 0.05
"""Of the window: so long nobody asks where others have used up what was left."""
_ASK_AGAIN_S = 0.2
"""For so long a process believes that nobody knows a connection's limit."""


class ConnectionLimits:
    """Lets requests to CRMs through, at the pace of each connection."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._event_loop = EventLoopThread()
        self._limits: dict[str, tuple[int, float]] = {}
        self._asked_until_s: dict[str, float] = {}

    @cached_property
    def _counters(self) -> SharedCounters:
        if self._settings.limits_url is None:
            raise NotConfigured("HOLDFAST_REDIS_URL is not set: connections need it")
        return SharedCounters(self._settings.limits_url, CONNECTION)

    @cached_property
    def _breaker(self) -> CircuitBreaker:
        return CircuitBreaker(
            self._counters,
            failures_max=self._settings.provider_failures_max,
            rest_s=self._settings.provider_rest_s,
        )

    @cached_property
    def _limiter(self) -> RateLimiter:
        # A block of permits is used after it was counted: too late, where a limit is
        # small and has to be kept exactly.
        return RateLimiter(self._counters, self._breaker, {}, blocks=None)

    def enter(self, connection_id: str) -> None:
        """Wait until one more request may be made. Raises `Paused`."""
        if connection_id not in self._limits and self._asks_again(connection_id):
            self._recall(connection_id)
        if not self._limiter.lets_through(connection_id):
            self._event_loop.run(self._limiter.enter(connection_id))

    def _asks_again(self, connection_id: str) -> bool:
        """Whether to ask what others know; a moment ago they knew nothing."""
        now_s = monotonic_s()
        if now_s < self._asked_until_s.get(connection_id, 0.0):
            return False
        self._asked_until_s[connection_id] = now_s + _ASK_AGAIN_S
        return True

    def _recall(self, connection_id: str) -> None:
        """Begin with the limit that another worker was told of."""
        known = self._event_loop.run(self._counters.recall(connection_id))
        if known is not None:
            self._keep(connection_id, limit_noted(known))

    def _keep(self, connection_id: str, limit: Limit) -> None:
        self._limits[connection_id] = (limit.requests, limit.window_s)
        self._limiter.allow(connection_id, rates_of(limit))

    def notice(self, connection_id: str, limit: Limit) -> None:
        """Keep to this limit from now on; rest a moment where nothing is left of it."""
        told = (limit.requests, limit.window_s)
        if self._limits.get(connection_id) != told:
            self._keep(connection_id, limit)
            known = f"{limit.requests}/{limit.window_s}"
            self._event_loop.run(self._counters.remember(connection_id, known))
            # The request that has taught us was made before anything was counted.
            with suppress(Paused):
                self._event_loop.run(self._limiter.enter(connection_id))
        if limit.remaining is not None and limit.remaining <= 0:
            self.pause(connection_id, RATE_LIMITED, limit.window_s * _USED_UP_SHARE)

    def pause(self, connection_id: str, reason: str, left_s: float) -> None:
        """Let nobody ask this CRM for a while."""
        pause = Pause(reason, left_s)
        self._event_loop.run(self._breaker.pause(connection_id, pause))

    def pause_of(self, connection_id: str) -> Pause | None:
        """The pause that a connection is in."""
        return self._event_loop.run(self._breaker.pause_of(connection_id))

    def close(self) -> None:
        """Close the connections and end the loop."""
        if "_counters" in self.__dict__:
            self._event_loop.run(self._counters.close())
        self._event_loop.close()


def limit_noted(known: str) -> Limit:
    """The limit that workers have let each other know of."""
    requests, _, window_s = known.partition("/")
    return Limit(int(requests), float(window_s))


def rates_of(limit: Limit) -> Sequence[RateLimitItem]:
    """What is counted to keep a limit: its window, and the seconds in it.

    The seconds first: a request that has to wait for the window must not be counted
    there before.
    """
    window_s = max(1, ceil(limit.window_s))
    most = max(1, floor(limit.requests * _SHARE))
    a_second = max(1, ceil(most / window_s * _SPREAD))
    if window_s == 1 or a_second >= most:
        return (RateLimitItemPerSecond(most, window_s),)
    return (RateLimitItemPerSecond(a_second), RateLimitItemPerSecond(most, window_s))
