"""When credits live: calendar months and years in UTC, the day clamped (rule 6)."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.periods import Calendar, Period, period_at
from pricing.plans import PaymentTerm

MONTHLY, YEARLY = PaymentTerm.MONTHLY, PaymentTerm.YEARLY
INSTANT = timedelta(microseconds=1)


def _day(year: int, month: int, day: int) -> datetime:
    return datetime(year, month, day, tzinfo=UTC)


def _starts(anchor: datetime, term: PaymentTerm, count: int) -> list[datetime]:
    """The first starts, each found at the end of the period before it."""
    starts = [anchor]
    while len(starts) < count:
        period = period_at(anchor, term, starts[-1])
        assert period is not None
        starts.append(period.ends_at)
    return starts


def test_a_month_from_the_31st_clamps_the_day_and_it_comes_back():
    assert _starts(_day(2026, 1, 31), MONTHLY, 6) == [
        _day(2026, 1, 31),
        _day(2026, 2, 28),
        _day(2026, 3, 31),
        _day(2026, 4, 30),
        _day(2026, 5, 31),
        _day(2026, 6, 30),
    ]


def test_a_month_from_the_31st_ends_on_the_29th_in_a_leap_year():
    anchor = _day(2028, 1, 31)
    assert period_at(anchor, MONTHLY, anchor) == Period(anchor, _day(2028, 2, 29))


def test_months_run_on_into_the_next_year():
    assert period_at(_day(2026, 11, 30), MONTHLY, _day(2027, 3, 29)) == Period(
        _day(2027, 2, 28), _day(2027, 3, 30)
    )


def test_a_year_from_29_february_clamps_the_day_and_it_comes_back():
    assert _starts(_day(2024, 2, 29), YEARLY, 6) == [
        _day(2024, 2, 29),
        _day(2025, 2, 28),
        _day(2026, 2, 28),
        _day(2027, 2, 28),
        _day(2028, 2, 29),
        _day(2029, 2, 28),
    ]


@pytest.mark.parametrize("term", list(PaymentTerm))
def test_a_period_begins_with_its_first_instant_and_its_end_is_the_next_ones(term):
    anchor = datetime(2026, 1, 31, 9, 30, 15, tzinfo=UTC)
    first = period_at(anchor, term, anchor)
    assert first is not None
    assert first.starts_at == anchor
    assert period_at(anchor, term, first.ends_at - INSTANT) == first
    second = period_at(anchor, term, first.ends_at)
    assert second is not None
    assert second.starts_at == first.ends_at


def test_the_time_of_day_stays_that_of_the_anchor():
    anchor = datetime(2026, 1, 31, 9, 30, 15, tzinfo=UTC)
    assert period_at(anchor, MONTHLY, _day(2026, 2, 28)) == Period(
        anchor, datetime(2026, 2, 28, 9, 30, 15, tzinfo=UTC)
    )


@pytest.mark.parametrize("term", list(PaymentTerm))
def test_before_the_anchor_there_is_no_period(term):
    anchor = _day(2026, 3, 1)
    assert period_at(anchor, term, anchor - INSTANT) is None
    assert period_at(anchor, term, anchor) is not None


def test_the_calendar_is_that_of_utc_wherever_the_instants_come_from():
    # Half past midnight on 1 March in Berlin is still February in UTC.
    berlin = timezone(timedelta(hours=1))
    anchor = datetime(2026, 3, 1, 0, 30, tzinfo=berlin)
    assert period_at(anchor, MONTHLY, anchor) == Period(
        datetime(2026, 2, 28, 23, 30, tzinfo=UTC),
        datetime(2026, 3, 28, 23, 30, tzinfo=UTC),
    )


anchors = st.datetimes(
    datetime(2000, 1, 1),  # noqa: DTZ001 - the strategy adds the zone
    datetime(2100, 1, 1),  # noqa: DTZ001 - the strategy adds the zone
    timezones=st.just(UTC),
)
later = st.timedeltas(timedelta(), timedelta(days=365 * 20))
terms = st.sampled_from(PaymentTerm)


@given(anchors, terms, later)
def test_periods_tile_the_time_without_gap_or_overlap(anchor, term, after):
    at = anchor + after
    period = period_at(anchor, term, at)
    assert period is not None
    assert anchor <= period.starts_at <= at < period.ends_at
    following = period_at(anchor, term, period.ends_at)
    assert following is not None
    assert following.starts_at == period.ends_at
    if period.starts_at > anchor:
        before = period_at(anchor, term, period.starts_at - INSTANT)
        assert before is not None
        assert before.ends_at == period.starts_at


@given(anchors, terms, later)
def test_every_instant_of_a_period_names_the_same_period(anchor, term, after):
    period = period_at(anchor, term, anchor + after)
    assert period is not None
    assert period_at(anchor, term, period.starts_at) == period
    assert period_at(anchor, term, period.ends_at - INSTANT) == period


@given(anchors, terms, later)
def test_a_period_lasts_one_calendar_term(anchor, term, after):
    period = period_at(anchor, term, anchor + after)
    assert period is not None
    days = (period.ends_at - period.starts_at).days
    assert days in (range(28, 32) if term is MONTHLY else range(365, 367))


def _in(calendar: Calendar, at: datetime) -> Period:
    found = calendar.period_at(at)
    assert found is not None
    return found


@given(
    anchor=anchors,
    first=terms,
    lives=st.lists(st.lists(terms, max_size=5), min_size=1, max_size=30),
)
def test_only_the_term_at_a_periods_end_counts_whatever_it_was_in_between(
    anchor, first, lives
):
    changed = Calendar(anchor_at=anchor, term=first)
    plain = changed
    at = anchor
    for changes in lives:
        running = _in(changed, at)
        assert running == _in(plain, at)
        for term in changes:
            changed = changed.with_term(term, running.ends_at)
            assert _in(changed, at) == running
        if changes and changes[-1] is not plain.term:
            plain = plain.with_term(changes[-1], running.ends_at)
        at = running.ends_at


def test_a_term_that_is_changed_back_leaves_the_end_of_the_month_where_it_was():
    calendar = Calendar(
        anchor_at=datetime(2027, 1, 31, tzinfo=UTC), term=PaymentTerm.MONTHLY
    )
    ends_at = datetime(2027, 2, 28, tzinfo=UTC)
    there = calendar.with_term(PaymentTerm.YEARLY, ends_at)
    back = there.with_term(PaymentTerm.MONTHLY, ends_at)
    assert _in(there, ends_at).ends_at == datetime(2028, 2, 28, tzinfo=UTC)
    assert _in(back, ends_at).ends_at == datetime(2027, 3, 31, tzinfo=UTC)


def test_before_its_start_a_license_only_has_another_term():
    calendar = Calendar(
        anchor_at=datetime(2027, 1, 31, tzinfo=UTC), term=PaymentTerm.MONTHLY
    )
    yearly = calendar.with_term(PaymentTerm.YEARLY, None)
    assert yearly == Calendar(anchor_at=calendar.anchor_at, term=PaymentTerm.YEARLY)
