"""The business clock: ticks that hold the database's clock against another, and words.

The rule is `pricing.business_time`. The dispatcher ticks each minute, and so does,
once, whatever starts an installation: after a week in which nothing ran, time is right
from the first request on.
"""

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from pricing.business_time import LEEWAY, Belief, Look, Memory, judge
from storage.database import Database
from storage.ledger import business_clock
from storage.ledger.business_clock import ClockReading
from worker.infrastructure.clock import counted_s, wall_s

log = logging.getLogger(__name__)

TICK_EVERY_S = 60.0


class Ticker:
    """Looks at the database's clock each time it is told to, and says what it finds.

    `counted` is a clock that never jumps, `wall` the process's own; both in seconds.
    """

    def __init__(
        self,
        database: Database,
        *,
        counted: Callable[[], float] = counted_s,
        wall: Callable[[], float] = wall_s,
    ) -> None:
        self._database = database
        self._counted = counted
        self._wall = wall
        self._memory: Memory | None = None

    def tick(self) -> Belief:
        """Accept the clock or hold it back; nothing, where another was first."""
        with self._database.transaction() as connection:
            reading = business_clock.read(connection)
            look = Look(
                clock_at=reading.clock_at,
                counted=timedelta(seconds=self._counted()),
                wall_at=datetime.fromtimestamp(self._wall(), tz=UTC),
            )
            believed, memory = judge(reading.belief, self._memory, look)
            if not business_clock.replace(connection, reading.belief, believed):
                return reading.belief
        self._memory = memory
        _tell(reading, believed)
        return believed


def _tell(reading: ClockReading, believed: Belief) -> None:
    before = reading.belief
    if believed.held_since is not None:
        log.critical(
            "the database's clock is %s of what passed since %s: business time goes on "
            "without it until it is back, or `holdfast clock accept`",
            _ahead(believed.ahead),
            believed.held_since.isoformat(),
        )
    elif believed.turn != before.turn:
        log.warning("the database's clock stayed behind: business time goes by it now")
    elif before.held_since is not None:
        log.warning("the database's clock is back: business time goes by it again")


def _ahead(ahead: timedelta) -> str:
    side = "behind" if ahead < timedelta() else "ahead"
    return f"{abs(ahead).total_seconds():.0f} s {side}"


def set_offset(database: Database, offset_s: float) -> None:
    """Shift business time for all processes, now."""
    with database.transaction() as connection:
        before = business_clock.set_offset(connection, offset_s)
    if before != offset_s:
        log.warning(
            "business time is %+.0f s from now on, it was %+.0f s", offset_s, before
        )


def start(database: Database, offset_s: float | None) -> None:
    """What starts an installation does first: its own offset counts, and one tick."""
    if offset_s is not None:
        set_offset(database, offset_s)
    Ticker(database).tick()


def state_of(reading: ClockReading) -> str:
    """`ok`, or `held_back` where business time does not go by the clock."""
    if reading.belief.held_since is not None:
        return "held_back"
    # Nobody ticks: what the clock says beyond the leeway is not believed yet.
    if reading.clock_at - reading.belief.trusted_at > LEEWAY:
        return "held_back"
    return "ok"


def other_offset(reading: ClockReading, offset_s: float | None) -> bool:
    """Whether a process was told of another offset than the one that counts."""
    return offset_s is not None and offset_s != reading.offset_s
