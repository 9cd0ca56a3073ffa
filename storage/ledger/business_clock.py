"""The business clock: one row, by which all processes know what time it is.

`pricing.business_time` is the rule, this keeps what it says. Business time is the
database's clock, as far as it is believed, plus an offset that all share; the SQL
functions `holdfast_now` and `holdfast_confirmed_now` read both from here.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from pricing.business_time import Belief


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockReading:
    """The row, and the database's clock beside it."""

    clock_at: datetime
    belief: Belief
    offset_s: float

    @property
    def offset(self) -> timedelta:
        """How far business time is ahead of the clock."""
        return timedelta(seconds=self.offset_s)

    @property
    def held_back_by(self) -> timedelta:
        """How far the clock is ahead of business time; nothing where it is believed."""
        return self.clock_at - self.belief.business(self.clock_at)


def read(connection: Connection) -> ClockReading:
    """What the clock says, and what is believed of it."""
    row = connection.execute(
        text("""
            SELECT clock_timestamp() AS clock_at, offset_s, trusted_at, held_since,
                   make_interval(secs => ahead_s) AS ahead, turn
              FROM business_clock""")
    ).one()
    return ClockReading(
        clock_at=row.clock_at,
        offset_s=row.offset_s,
        belief=Belief(
            trusted_at=row.trusted_at,
            held_since=row.held_since,
            ahead=row.ahead,
            turn=row.turn,
        ),
    )


def replace(connection: Connection, before: Belief, after: Belief) -> bool:
    """Believe something else from now on; False where somebody else was first."""
    changed = connection.execute(
        text("""
            UPDATE business_clock
               SET trusted_at = :trusted_at, held_since = :held_since,
                   ahead_s = :ahead_s, turn = :turn
             WHERE turn = :turn_before AND trusted_at = :trusted_before
               AND held_since IS NOT DISTINCT FROM :held_before"""),
        {
            "trusted_at": after.trusted_at,
            "held_since": after.held_since,
            "ahead_s": after.ahead.total_seconds(),
            "turn": after.turn,
            "turn_before": before.turn,
            "trusted_before": before.trusted_at,
            "held_before": before.held_since,
        },
    )
    return changed.rowcount == 1


def confirm(connection: Connection) -> None:
    """Believe the database's clock as it is, on somebody's word."""
    connection.execute(
        text("""
            UPDATE business_clock
               SET trusted_at = clock_timestamp(), held_since = NULL, ahead_s = 0,
                   turn = turn + 1""")
    )


def set_offset(connection: Connection, offset_s: float) -> float:
    """Set the offset of all processes; returns the one before. Trust stays as it is."""
    before: float = connection.execute(
        text("""
            UPDATE business_clock SET offset_s = :offset_s
              FROM (SELECT offset_s FROM business_clock FOR NO KEY UPDATE) AS former
            RETURNING former.offset_s"""),
        {"offset_s": offset_s},
    ).scalar_one()
    return before


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedAhead:
    """A period that has ended, although business time says that it has not."""

    license_id: str
    starts_at: datetime
    ends_at: datetime
    expired: int


def ended_ahead(connection: Connection, *, limit: int) -> list[EndedAhead]:
    """Periods that ended before their time: what a clock that was confirmed did."""
    rows = connection.execute(
        text("""
            SELECT license_id, starts_at, ends_at, expired FROM periods
             WHERE ended_at IS NOT NULL AND ends_at > (SELECT holdfast_now())
             ORDER BY license_id, starts_at LIMIT :limit"""),
        {"limit": limit},
    )
    return [EndedAhead(**row) for row in rows.mappings()]
