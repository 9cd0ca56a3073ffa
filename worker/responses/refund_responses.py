"""Credit notes as clients see them."""

from storage.refunds.credit_note_reports import CreditNote, NoteCharge
from storage.refunds.credit_notes import NoteState
from worker.infrastructure.clock import instant
from worker.refunds import refusals
from worker.refunds.credit_notes import Preview, Shown
from worker.responses.response import Answer


def of_note(note: CreditNote) -> Answer:
    """A credit note."""
    is_booked = note.state is NoteState.BOOKED
    is_rejected = note.state is NoteState.REJECTED
    return {
        "id": note.id,
        "license": note.license_id,
        "number": note.number,
        "state": note.state.value,
        "job": note.job_id,
        "credits": note.credits,
        "charges": note.charges,
        "reason": note.reason,
        "author": note.author,
        "approver": note.decided_by if is_booked else None,
        "rejected_by": note.decided_by if is_rejected else None,
        "rejection": note.decision_reason,
        "created_at": instant(note.created_at),
        "decided_at": instant(note.decided_at),
    }


def of_shown(shown: Shown) -> Answer:
    """A credit note with what was free on its charges."""
    return of_note(shown.note) | {
        "free_on_it": shown.free_on_it,
        "already_refunded": shown.already_refunded,
    }


def of_charge(charge: NoteCharge) -> Answer:
    """A charge of a credit note."""
    return {
        "charge": charge.charge_id,
        "credits": charge.credits,
        "refunded": charge.refunded,
    }


def of_preview(preview: Preview) -> Answer:
    """What a credit note would give back."""
    return {
        "license": preview.license_id,
        "credits": preview.credits,
        "charges": preview.charges,
        "needs_approval": preview.needs_approval,
        "refused": [
            {
                "charge": one.charge_id,
                "code": one.why.value,
                "message": refusals.why(one),
            }
            for one in preview.refused
        ],
        "free_on_it": preview.free_on.charges,
        "quotes": preview.free_on.quotes,
        "jobs": preview.free_on.jobs,
    }
