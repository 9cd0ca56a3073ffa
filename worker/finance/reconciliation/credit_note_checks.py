"""A period's credit notes against their refunds and charges; numbers without gaps."""

from sqlalchemy import Connection

from storage.finance.reconciliation import credit_note_rows
from storage.finance.reconciliation.credit_note_rows import NoteRow
from storage.finance.reconciliation.period_rows import PeriodRow
from worker.finance.reconciliation.notebook import Notebook

_BOOKED = "booked"


def check(connection: Connection, period: PeriodRow, notes: Notebook) -> None:
    """Note where credit notes say something else, all of one snapshot.

    What their refunds say themselves is held against charges and transfers apart.
    """
    for row in credit_note_rows.of_period(connection, period):
        _check(row, period, notes)
    numbers = credit_note_rows.numbers(connection, period.license_id)
    found = (numbers.booked, numbers.highest)
    notes.same(
        "credit_notes.number",
        period.license_id,
        f"{numbers.last} booked, numbered from 1 to {numbers.last}",
        f"{found[0]} booked, numbered from 1 to {found[1]}",
    )


def _check(row: NoteRow, period: PeriodRow, notes: Notebook) -> None:
    if row.license_id is None:
        notes.differ("credit_notes", row.id, expected="a credit note", found="none")
        return
    notes.same("credit_notes.license", row.id, period.license_id, row.license_id)
    if row.state == _BOOKED:
        notes.same("credit_notes.credits", row.id, row.refunded, row.credits)
    else:
        notes.same("credit_notes.state", row.id, 0, row.refunded)
        notes.same("credit_notes.credits", row.id, row.asked, row.credits)
    notes.same("credit_notes.refunds", row.id, 0, row.strange_refunds)
    notes.same("credit_notes.charges", row.id, 0, row.strange_charges)
