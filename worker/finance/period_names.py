"""How people name a period: by the instant that it starts at, or by that month."""

import re
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from worker.infrastructure.errors import bad

_MONTH = re.compile(r"(\d{4})-(0[1-9]|1[0-2])")
_RESOLUTION = timedelta(microseconds=1)
_MONTHS_OF_YEAR = 12


class Starts(NamedTuple):
    """The time in which a period must start to be meant; `before` is not in it."""

    since: datetime
    before: datetime


def starts_of(named: str, field: str = "period") -> Starts:
    """What is meant: `2026-11`, or an instant with its offset. Raises `BadInput`."""
    month = _MONTH.fullmatch(named)
    try:
        if month is not None:
            first = datetime(int(month[1]), int(month[2]), 1, tzinfo=UTC)
            return Starts(first, _next_month(first))
        instant = datetime.fromisoformat(named)
        if instant.tzinfo is not None and len(named) > len("2026-11-01"):
            at = instant.astimezone(UTC)
            return Starts(at, at + _RESOLUTION)
    except (ValueError, OverflowError):
        pass
    raise bad(field, "names no period: its starts_at, or that month, as 2026-11")


def _next_month(first: datetime) -> datetime:
    if first.month == _MONTHS_OF_YEAR:
        return first.replace(year=first.year + 1, month=1)
    return first.replace(month=first.month + 1)
