"""Time for everything that runs: durations by the monotonic clock, not the wall.

Instants that matter come from the database. What is left to a process is how long
it has been at something, when to look again, and what a library says by the wall clock.
"""

import time
from datetime import UTC, datetime
from threading import Event


def monotonic_s() -> float:
    """Seconds on a clock that never goes back."""
    return time.monotonic()


def counted_s() -> float:
    """The same, where the system has it with the time that the machine has slept."""
    boot = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime(boot)


def until_s(at_s: float) -> float:
    """Seconds until an instant that a library took from the wall clock."""
    return at_s - time.time()


def wall_s() -> float:
    """Seconds since 1970, for those who stand in for others' servers."""
    return time.time()


def end_of_minute(*, least_s: float) -> datetime:
    """The first end of a minute of the wall clock that is at least so far away."""
    soonest_s = time.time() + least_s
    return datetime.fromtimestamp(soonest_s - soonest_s % 60 + 60, tz=UTC)


class Stopwatch:
    """How long ago it was made."""

    def __init__(self) -> None:
        self._began_s = monotonic_s()

    @property
    def elapsed_s(self) -> float:
        """Seconds since."""
        return monotonic_s() - self._began_s


class Every:
    """Whether it is time again: at once, or after a while, then each `interval_s`."""

    def __init__(self, interval_s: float, *, at_once: bool = True) -> None:
        self._interval_s = interval_s
        self._next_s = 0.0 if at_once else monotonic_s() + interval_s

    def due(self) -> bool:
        """True once an interval; then the next one begins."""
        now_s = monotonic_s()
        if now_s < self._next_s:
            return False
        self._next_s = now_s + self._interval_s
        return True


def wait(stop: Event, timeout_s: float) -> bool:
    """Wait for `stop`, at most so long; whether it was set."""
    return stop.wait(timeout_s)


def instant(at: datetime | None) -> str | None:
    """ISO 8601 in UTC with a Z."""
    if at is None:
        return None
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
