"""The circuit breaker: whoever fails too often is not asked for a while, by anybody.

A pause lasts as long as the other side said, or begins because it failed so often
within a minute that asking goes on doing harm. The first failure after such a pause
begins the next one; a success ends the count.
"""

import logging

from limits import RateLimitItemPerMinute

from worker.infrastructure.clock import monotonic_s
from worker.infrastructure.outbound_limits.pauses import DOWN, Pause
from worker.infrastructure.outbound_limits.shared_counters import (
    Counters,
    SharedCounters,
)
from worker.infrastructure.telemetry.counters import COUNTERS
from worker.infrastructure.telemetry.metric_families import PAUSES

log = logging.getLogger(__name__)

_LOOK_AGAIN_S = 0.2
"""For so long a process believes what it last heard of a pause."""


class CircuitBreaker:
    """Knows who is paused, and pauses who fails; to be used inside one event loop."""

    def __init__(
        self, counters: SharedCounters, *, failures_max: int, rest_s: float
    ) -> None:
        self._counters = counters
        self._failures = RateLimitItemPerMinute(failures_max)
        self._rest_s = rest_s
        self._heard: dict[str, tuple[Pause | None, float]] = {}
        self._failing: set[str] = set()

    def is_free(self, name: str) -> bool:
        """Whether it was heard a moment ago that somebody is in no pause."""
        heard, until_s = self._heard.get(name, (None, 0.0))
        return heard is None and monotonic_s() < until_s

    async def pause_of(self, name: str) -> Pause | None:
        """The pause that somebody is in, as heard a moment ago."""
        heard, until_s = self._heard.get(name, (None, 0.0))
        now_s = monotonic_s()
        if now_s < until_s:
            return heard
        pause = await self._counters.run(lambda counters: counters.pauses.of(name))
        known_s = _LOOK_AGAIN_S if pause is None else min(pause.left_s, _LOOK_AGAIN_S)
        self._heard[name] = (pause, now_s + known_s)
        return pause

    async def pause(self, name: str, pause: Pause) -> None:
        """Let nobody ask this one for a while."""
        log.warning("%s: %s for %.1f s", name, pause.reason, pause.left_s)
        COUNTERS.add(PAUSES, self._counters.family, pause.reason)
        await self._counters.run(lambda counters: counters.pauses.set(name, pause))
        self._heard.pop(name, None)

    async def failed(self, name: str, until_s: float | None = None) -> None:
        """Count a failure; after too many, or until the time it names, it rests."""
        self._failing.add(name)
        if until_s is not None:
            await self.pause(name, Pause(DOWN, until_s))
        elif not await self._counters.run(
            lambda counters: self._may_fail(counters, name)
        ):
            await self.pause(name, Pause(DOWN, self._rest_s))

    async def _may_fail(self, counters: Counters, name: str) -> bool:
        key = self._counters.key(name)
        await counters.windows.hit(self._failures, key, "failures")
        return await counters.windows.test(self._failures, key, "failures")

    async def succeeded(self, name: str) -> None:
        """Forget the failures."""
        if name in self._failing:
            self._failing.discard(name)
            key = self._counters.key(name)
            await self._counters.run(
                lambda counters: counters.windows.clear(self._failures, key, "failures")
            )
