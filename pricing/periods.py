"""License periods: calendar months or years in UTC, counted from an anchor (rule 6).

The day is clamped to the month's length and comes back after a short month:
31 January, 28 February, 31 March. A period's end is exclusive and is the start of
the next one.
"""

from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from pricing.plans import PaymentTerm

_MONTHS_A_YEAR = 12


class Period(NamedTuple):
    """One payment term: from `starts_at` up to, not including, `ends_at`."""

    starts_at: datetime
    ends_at: datetime


def _months_of(term: PaymentTerm) -> int:
    match term:
        case PaymentTerm.MONTHLY:
            return 1
        case PaymentTerm.YEARLY:
            return _MONTHS_A_YEAR


def _months_later(anchor: datetime, months: int) -> datetime:
    years, month_index = divmod(anchor.month - 1 + months, _MONTHS_A_YEAR)
    year, month = anchor.year + years, month_index + 1
    day = min(anchor.day, monthrange(year, month)[1])
    return anchor.replace(year=year, month=month, day=day)


def period_at(anchor: datetime, term: PaymentTerm, at: datetime) -> Period | None:
    """The period that `at` falls into, or None before the anchor.

    Both instants must be aware; the calendar that counts is that of UTC.
    """
    anchor, at = anchor.astimezone(UTC), at.astimezone(UTC)
    if at < anchor:
        return None
    step = _months_of(term)
    months = (at.year - anchor.year) * _MONTHS_A_YEAR + at.month - anchor.month
    number = months // step
    if _months_later(anchor, number * step) > at:
        number -= 1
    return Period(
        _months_later(anchor, number * step),
        _months_later(anchor, (number + 1) * step),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """How a license's periods are counted: from `anchor_at`, by `term`.

    `former` is what counts before the anchor, where the term was changed and the
    period that was running then may still be: changed back, it counts on.
    """

    anchor_at: datetime
    term: PaymentTerm
    former: "Calendar | None" = None

    def period_at(self, at: datetime) -> Period | None:
        """The period that `at` falls into, or None before the license starts."""
        if at < self.anchor_at and self.former is not None:
            return self.former.period_at(at)
        return period_at(self.anchor_at, self.term, at)

    def with_term(self, term: PaymentTerm, ends_at: datetime | None) -> "Calendar":
        """The calendar once another term counts from `ends_at`, a period's end.

        None: no period is open yet, and the calendar is simply another one. Whatever
        was changed within a period, the last term counts, and only from its end.
        """
        if ends_at is None:
            return Calendar(anchor_at=self.anchor_at, term=term)
        in_force = self
        if self.former is not None and self.anchor_at >= ends_at:
            in_force = self.former
        if term is in_force.term:
            return in_force
        alone = Calendar(anchor_at=in_force.anchor_at, term=in_force.term)
        return Calendar(anchor_at=ends_at, term=term, former=alone)
