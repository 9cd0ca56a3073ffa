"""A period's counters against its transfers, reservations, views and refunds."""

from collections.abc import Iterator
from datetime import UTC, datetime

from sqlalchemy import Connection

from pricing.periods import period_at
from pricing.plans import PaymentTerm
from storage.finance.reconciliation import period_rows
from storage.finance.reconciliation.period_rows import PeriodRow
from worker.finance.reconciliation.notebook import Notebook

_LONGEST_MONTH = 31


def check(connection: Connection, period: PeriodRow, notes: Notebook) -> None:
    """Note where a period's rows do not say the same, all of one snapshot."""
    moved = period_rows.moved(connection, period)
    held = period_rows.held(connection, period)
    views = period_rows.views(connection, period)
    given = period_rows.refunded(connection, period)
    kinds = ("grant", "reserve", "settle", "release", "view", "refund")
    grant, reserve, settle, release, view, refund = (
        moved.credits.get(kind, 0) for kind in kinds
    )
    expired = moved.credits.get("expire", 0) - moved.credits.get("reopen", 0)
    row = period.id
    notes.same("periods.granted", row, grant, period.granted)
    # What an open reservation has settled counts as reserved until it is closed.
    reserved = reserve - settle - release + held.open_settled
    notes.same("periods.reserved", row, reserved, period.reserved)
    notes.same("reservations.amount", row, held.open_amount, period.reserved)
    spent = settle - held.open_settled + view - refund
    notes.same("periods.spent", row, spent, period.spent)
    settled = held.open_settled + held.closed_settled
    notes.same("reservations.settled", row, settle, settled)
    notes.same("periods.expired", row, expired, period.expired)
    check_time(period, notes)
    notes.same("charges.view", row, view, views.credits)
    notes.same("refunds", row, refund, given)
    notes.same("transfers.license", row, 0, moved.of_others)
    notes.same("reservations.license", row, 0, held.of_others)
    for one in period_rows.opening_grants(connection, period):
        notes.differ(
            "periods.starts_at", row, expected=one.reference, found=one.expected
        )
    for refunded in period_rows.unequal_refunds(connection, period):
        notes.differ(
            "refunds",
            refunded.charge_id,
            expected=f"charge: {refunded.charge}",
            found=f"refund: {refunded.refund}; transfer: {refunded.transfer}",
            charge=refunded.charge_id or None,
        )


def check_time(period: PeriodRow, notes: Notebook) -> None:
    """Note a period that is not one payment term long, or has ended before its time."""
    if period.ends_at not in set(_possible_ends(period.starts_at.astimezone(UTC))):
        notes.differ(
            "periods.ends_at",
            period.id,
            expected="a month or a year from its start",
            found=period.ends_at,
        )
    if period.ended_at is None:
        return
    if period.ended_at < period.ends_at:
        notes.differ(
            "periods.ended_at",
            period.id,
            expected=f"not before {period.ends_at}",
            found=period.ended_at,
        )
    left = period.granted - period.reserved - period.spent - period.expired
    notes.same("periods.available", period.id, 0, left)


def _possible_ends(starts_at: datetime) -> Iterator[datetime]:
    """Where a term may end that begins so: the day that it counts from may be later.

    From 28 February, a month goes to 28 March, or to 31 March where it began on a 31st.
    """
    january = starts_at.replace(year=starts_at.year - 1, month=1)
    months = (
        period_at(january.replace(day=day), PaymentTerm.MONTHLY, starts_at)
        for day in range(starts_at.day, _LONGEST_MONTH + 1)
    )
    years = (
        period_at(anchor, PaymentTerm.YEARLY, starts_at)
        for anchor in _yearly_anchors(starts_at)
    )
    for found in (*months, *years):
        if found is not None and found.starts_at == starts_at:
            yield found.ends_at


def _yearly_anchors(starts_at: datetime) -> Iterator[datetime]:
    yield starts_at
    if (starts_at.month, starts_at.day) == (2, 28):
        leap_year = starts_at.year - starts_at.year % 4
        yield starts_at.replace(year=leap_year, day=29)
