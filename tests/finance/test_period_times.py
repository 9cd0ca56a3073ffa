"""A period is a month or a year of the calendar, whatever day it counts from. Pure."""

from datetime import UTC, datetime, timedelta

import pytest

from pricing.periods import period_at
from pricing.plans import PaymentTerm
from storage.finance.reconciliation.period_rows import PeriodRow
from worker.finance.reconciliation.notebook import Notebook
from worker.finance.reconciliation.period_checks import check_time

_DAY = timedelta(days=1)


def _found(
    starts_at: datetime, ends_at: datetime, ended_at: datetime | None = None
) -> set[str]:
    row = PeriodRow(
        id=1,
        license_id="acme",
        starts_at=starts_at,
        ends_at=ends_at,
        ended_at=ended_at,
        granted=5,
        reserved=0,
        spent=2,
        expired=3,
    )
    notes = Notebook("acme")
    check_time(row, notes)
    return {one.place for one in notes.findings}


@pytest.mark.parametrize("term", PaymentTerm)
def test_each_term_of_the_calendar_is_one_and_a_day_more_is_none(term):
    first = datetime(2023, 1, 1, 7, 8, 9, 10, tzinfo=UTC)
    anchors = (first + number * _DAY for number in range(366 * 2))
    for anchor in (one for one in anchors if one.day in {1, 28, 29, 30, 31}):
        for later in (0, 40, 400, 800):
            found = period_at(anchor, term, anchor + later * _DAY)
            assert found is not None
            assert _found(*found, ended_at=found.ends_at) == set(), found
            if found.starts_at.day < 28:
                for wrong in (_DAY, -_DAY, timedelta(microseconds=1)):
                    told = _found(found.starts_at, found.ends_at + wrong)
                    assert told == {"periods.ends_at"}, found


def test_a_period_that_has_ended_before_its_time_is_named():
    start, end = (datetime(2026, month, 1, tzinfo=UTC) for month in (11, 12))
    assert _found(start, end, ended_at=end - _DAY) == {"periods.ended_at"}
