"""Refunds: `refunds list`, `show`, `preview`, `make`, `approve`, `reject`."""

from datetime import UTC, datetime

import click

from storage.refunds import credit_note_reports
from storage.refunds.credit_note_reports import CreditNote, WantedNotes
from storage.refunds.credit_notes import NoteState
from worker.cli.invocation import Cli, command, group
from worker.cli.operations.command_line_actor import acting
from worker.cli.servers import with_database
from worker.infrastructure.clock import instant
from worker.refunds import credit_notes, refusals
from worker.refunds.credit_notes import Asked, Shown
from worker.responses import refund_responses

_LISTED = 100
_BIGINT_MAX = (1 << 63) - 1
_ID = click.IntRange(1, _BIGINT_MAX)
_STARTS_AT = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ"])


@group("refunds")
def refunds_() -> None:
    """Charges given back by credit notes."""


@command("list")
@click.option("--license", "license_id", help="Of this license.")
@click.option("--period", type=_STARTS_AT, help="Of the period that starts then, UTC.")
@click.option("--state", type=click.Choice([state.value for state in NoteState]))
def list_(
    cli: Cli, *, license_id: str | None, period: datetime | None, state: str | None
) -> None:
    """List the newest refunds."""
    wanted = WantedNotes(
        license_id=license_id,
        period_starts_at=period and period.replace(tzinfo=UTC),
        state=NoteState(state) if state else None,
    )
    with with_database(cli) as deps, deps.database.transaction() as connection:
        found = credit_note_reports.find(connection, wanted, limit=_LISTED)
    items = [refund_responses.of_note(note) for note in found]
    human = "\n".join(map(_line, found)) or "no refunds"
    cli.answer({"items": items, "next": None}, human)


@command("show")
@click.argument("refund_id", metavar="ID", type=_ID)
def show(cli: Cli, *, refund_id: int) -> None:
    """Show a refund."""
    with with_database(cli) as deps:
        _answer(cli, credit_notes.show(deps, refund_id))


_charges = click.argument("charges", metavar="[CHARGE]...", nargs=-1, type=_ID)
_job = click.option("--job", "job_id", help="All that this job has paid, instead.")


@command("preview")
@_charges
@_job
def preview(cli: Cli, *, charges: tuple[int, ...], job_id: str | None) -> None:
    """Say what a refund would give back, and what is free on it."""
    with with_database(cli) as deps:
        found = credit_notes.preview(deps, Asked(charges, job_id), acting(None))
    lines = [f"{found.credits:,} credits of {found.charges:,} charges"]
    if found.needs_approval:
        lines.append("a second person has to approve it")
    lines += [f"free on it: charge {charge}" for charge in found.free_on.charges]
    lines += [refusals.why(refused) for refused in found.refused]
    cli.answer(refund_responses.of_preview(found), "\n".join(lines))


@command("make")
@_charges
@_job
@click.option("--reason", required=True, help="Why; it is kept, so name no person.")
def make(
    cli: Cli, *, charges: tuple[int, ...], job_id: str | None, reason: str
) -> None:
    """Give charges back, or let that wait for a second person."""
    with with_database(cli) as deps:
        asked = Asked(charges, job_id)
        _answer(cli, credit_notes.make(deps, asked, reason, acting(None)))


@command("approve")
@click.argument("refund_id", metavar="ID", type=_ID)
def approve(cli: Cli, *, refund_id: int) -> None:
    """Book a refund that waits, as another person than has asked for it."""
    with with_database(cli) as deps:
        _answer(cli, credit_notes.approve(deps, refund_id, acting(None)))


@command("reject")
@click.argument("refund_id", metavar="ID", type=_ID)
@click.option("--reason", required=True, help="Why; it is kept, so name no person.")
def reject(cli: Cli, *, refund_id: int, reason: str) -> None:
    """End a refund that waits; nothing is given back."""
    with with_database(cli) as deps:
        _answer(cli, credit_notes.reject(deps, refund_id, reason, acting(None)))


def _answer(cli: Cli, shown: Shown) -> None:
    note = shown.note
    of_job = f" of job {note.job_id}" if note.job_id else ""
    lines = [
        _line(note),
        f"  charges  {note.charges:,}{of_job}",
        f"  author   {note.author}: {note.reason or 'erased'}",
    ]
    if note.decided_by:
        why = f": {note.decision_reason}" if note.decision_reason else ""
        lines.append(f"  {note.state.value} by {note.decided_by}{why}")
    if shown.already_refunded:
        lines.append(f"  left out {shown.already_refunded}: refunded before")
    cli.answer(refund_responses.of_shown(shown), "\n".join(lines))


def _line(note: CreditNote) -> str:
    number = f"number {note.number}" if note.number else "no number"
    return (
        f"{note.id}  {note.license_id}  {number}  {note.state.value}  "
        f"{note.credits:,} credits  {instant(note.created_at)}"
    )


for _command in (list_, show, preview, make, approve, reject):
    refunds_.add_command(_command)

COMMANDS: tuple[click.Command, ...] = (refunds_,)
