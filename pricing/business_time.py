"""Business time: how far the database's clock is believed (section 4, exact rule 2).

Windows, periods and expiries count on one clock, the database's, and no clock is
believed for saying so once. Whoever ticks, each minute, holds it against a clock that
only counts: what moved as that one did is trusted, anything else is held back until
it comes back or an operator confirms it. All instants here are the database's clock,
without the offset that all processes share.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple

TOLERANCE = timedelta(minutes=1)
"""By so much two clocks may differ and still agree."""
LEEWAY = timedelta(minutes=10)
"""So far business time may be ahead of what was trusted, while nothing is wrong."""
DOWNTIME_MAX = timedelta(days=45)
"""After so long without a tick only an operator can say what time it is."""
BELOW_FOR = timedelta(hours=1)
"""For so long the clock must stay behind before that is taken for the truth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Belief:
    """What all processes share: the highest instant that was accepted.

    `held_since` says since when the clock is not believed, and `ahead` by how much it
    was ahead of `trusted_at` when somebody last looked. `turn` counts how often trust
    has begun anew, at an instant that may lie below.
    """

    trusted_at: datetime
    held_since: datetime | None = None
    ahead: timedelta = timedelta()
    turn: int = 0

    def business(self, clock_at: datetime) -> datetime:
        """Business time while the clock says so, without the offset."""
        leeway = LEEWAY if self.held_since is None else timedelta()
        return min(clock_at, self.trusted_at + leeway)


class Look(NamedTuple):
    """What one process sees at a tick: the database's clock, and its own two.

    `counted` is by a clock that never jumps; it says nothing of what time it is.
    """

    clock_at: datetime
    counted: timedelta
    wall_at: datetime


class Memory(NamedTuple):
    """What a process keeps from one tick to the next.

    `expected_at` is where the clock was to be at `counted`; `below_since` since when
    it has stayed behind what is trusted.
    """

    expected_at: datetime
    counted: timedelta
    trusted_at: datetime
    turn: int
    below_since: timedelta | None = None


def judge(belief: Belief, memory: Memory | None, look: Look) -> tuple[Belief, Memory]:
    """What is believed after a tick, and what the process keeps of it.

    A process that has just started has no memory. Any number of them may tick.
    """
    if _agrees(belief, memory, look):
        return _accepted(belief, look)
    return _held(belief, memory, look)


def confirmed(belief: Belief, clock_at: datetime) -> Belief:
    """What is believed once an operator has said that the clock is right."""
    return Belief(trusted_at=clock_at, turn=belief.turn + 1)


def _agrees(belief: Belief, memory: Memory | None, look: Look) -> bool:
    gap = look.clock_at - belief.trusted_at
    if memory is None:
        return abs(gap) <= TOLERANCE or _explained_by_downtime(belief, gap, look)
    passed = look.counted - memory.counted
    expected_at = belief.trusted_at + passed
    if belief.turn == memory.turn:
        expected_at = memory.expected_at + passed
        if abs(look.clock_at - expected_at) <= TOLERANCE:
            return True
        # What another process has accepted since is more than this one has counted
        # only where its own clock stood still.
        expected_at = max(expected_at, belief.trusted_at)
    is_others = (belief.trusted_at, belief.turn) != (memory.trusted_at, memory.turn)
    accepted = is_others and belief.held_since is None
    return accepted and gap >= -TOLERANCE and look.clock_at <= expected_at + TOLERANCE


def _explained_by_downtime(belief: Belief, gap: timedelta, look: Look) -> bool:
    """Whether nobody was there to look for so long, as the process's wall clock says.

    Starting again explains no jump that is held back already: on one machine both
    clocks have jumped.
    """
    if not timedelta() < gap < DOWNTIME_MAX:
        return False
    if belief.held_since is not None and LEEWAY < belief.ahead <= gap + TOLERANCE:
        return False
    return abs(look.wall_at - look.clock_at) <= TOLERANCE


def _accepted(belief: Belief, look: Look) -> tuple[Belief, Memory]:
    trusted_at = max(belief.trusted_at, look.clock_at)
    believed = Belief(trusted_at=trusted_at, turn=belief.turn)
    return believed, Memory(look.clock_at, look.counted, trusted_at, belief.turn)


def _held(belief: Belief, memory: Memory | None, look: Look) -> tuple[Belief, Memory]:
    """Go on by the clock that counts, and come down to one that stays behind."""
    expected_at, below_since = belief.trusted_at, None
    if memory is not None and memory.turn == belief.turn:
        expected_at = memory.expected_at + (look.counted - memory.counted)
        below_since = memory.below_since
    trusted_at = max(belief.trusted_at, expected_at)
    ahead = look.clock_at - trusted_at
    if ahead > -LEEWAY:
        below_since = None
    elif below_since is None:
        below_since = look.counted
    elif look.counted - below_since >= BELOW_FOR:
        lowered = confirmed(belief, look.clock_at)
        kept = Memory(look.clock_at, look.counted, look.clock_at, lowered.turn)
        return lowered, kept
    held = replace(
        belief,
        trusted_at=trusted_at,
        held_since=belief.held_since or belief.trusted_at,
        ahead=ahead,
    )
    return held, Memory(expected_at, look.counted, trusted_at, belief.turn, below_since)
