"""A period's counters against its transfers, reservations, views and refunds."""

from sqlalchemy import Connection

from storage.finance.reconciliation import period_rows
from storage.finance.reconciliation.period_rows import PeriodRow
from worker.finance.reconciliation.notebook import Notebook


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
