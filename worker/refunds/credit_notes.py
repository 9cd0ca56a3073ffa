"""Credit notes: previewed, made, approved or rejected, by people whom keys name."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection

from storage.jobs import jobs
from storage.ledger import charges
from storage.licenses.idempotency_keys import Once
from storage.operations import action_log
from storage.operations.action_log import Acting, Actor, Target
from storage.refunds import credit_note_reports, credit_notes, refunds
from storage.refunds.credit_note_reports import CreditNote
from storage.refunds.credit_notes import Author, DecideResult, MakeResult, Wanted
from storage.refunds.refunds import FreeOn, RefusedCharge
from worker.infrastructure.dependencies import Deps
from worker.infrastructure.errors import Code, Refused, bad
from worker.infrastructure.ids import check_name
from worker.refunds import refusals

ACTION_REASON_MAX = 500
CHARGES_MAX = 10_000
"""Charges that one note may be asked for by their ids."""


class Asked(NamedTuple):
    """What is to be given back: these charges, or all that a job has paid."""

    charge_ids: Sequence[int] = ()
    job_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A note with what is free on its charges, and stays so."""

    note: CreditNote
    free_on_it: list[int]
    already_refunded: list[int]
    """Charges that it was about, and that something else gave back first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What a note would give back, and how."""

    license_id: str
    charges: int
    credits: int
    needs_approval: bool
    refused: list[RefusedCharge]
    free_on: FreeOn


def author_of(actor: Actor) -> Author:
    """Who decides on a refund: the person whom the key names, else as it is called."""
    return Author(actor.person or actor.name, actor.person, actor.key_id)


def preview(
    deps: Deps, asked: Asked, by: Acting, *, seen: str | None = None
) -> Preview:
    """What a note would give back by now; nothing is changed.

    `seen` is the license that the caller alone may see. Raises `Refused` and `BadInput`
    where there is no such thing; why charges cannot be given back is in the answer.
    """
    with deps.database.transaction() as connection:
        credit_notes.give_time(connection)
        license_id = _license_of(connection, asked, seen)
        charge_ids = asked.charge_ids
        if asked.job_id is not None:
            charge_ids = refunds.paid_charges(connection, asked.job_id)
        found = refunds.look(connection, charge_ids)
        waits = credit_notes.needs_approval(
            connection,
            license_id,
            author_of(by.actor),
            credits_=found.credits,
            approval_credits=deps.settings.refund_approval_credits,
        )
        free = refunds.free_on(connection, found.charge_ids)
    return Preview(
        license_id=license_id,
        charges=len(found.charge_ids),
        credits=found.credits,
        needs_approval=waits,
        refused=found.refused + (found.waiting if waits else []),
        free_on=free,
    )


def make(
    deps: Deps,
    asked: Asked,
    reason: str,
    by: Acting,
    *,
    seen: str | None = None,
    once: Once | None = None,
) -> Shown:
    """Give charges back, or let that wait for a second person.

    Raises `Refused` and `BadInput`; then nothing was changed.
    """
    check_name(reason, "reason")
    with deps.database.transaction() as connection:
        note_id = make_in(deps, connection, asked, reason, by, seen=seen)
        if once is not None:
            once(connection, str(note_id))
        return _shown(connection, note_id)


def make_in(
    deps: Deps,
    connection: Connection,
    asked: Asked,
    reason: str,
    by: Acting,
    *,
    seen: str | None = None,
) -> int:
    """The same in a transaction of the caller's, whose last locks these are."""
    decision = _decide(deps, connection, asked, by, reason=reason, seen=seen)
    refused = refusals.of_decision(decision)
    if refused is not None:
        raise refused
    note_id = credit_notes.carry_out(connection, decision)
    _note_action(
        connection,
        # Why stands in the note, from where it can be erased.
        by._replace(reason=None),
        "refund" if decision.result is MakeResult.BOOKED else "ask_refund",
        note_id,
        decision.wanted.license_id,
    )
    return note_id


def _decide(
    deps: Deps,
    connection: Connection,
    asked: Asked,
    by: Acting,
    *,
    reason: str,
    seen: str | None,
) -> credit_notes.Decision:
    license_id = _license_of(connection, asked, seen)
    return credit_notes.decide(
        connection,
        Wanted(
            license_id=license_id,
            reason=reason,
            charge_ids=asked.charge_ids,
            job_id=asked.job_id,
        ),
        author_of(by.actor),
        approval_credits=deps.settings.refund_approval_credits,
    )


def _license_of(connection: Connection, asked: Asked, seen: str | None) -> str:
    """The one license that all of it is of. Raises `Refused` and `BadInput`."""
    if (asked.job_id is None) == (not asked.charge_ids):
        raise bad("charges", "name charges or a job, and not both")
    if len(asked.charge_ids) > CHARGES_MAX:
        raise bad("charges", f"at most {CHARGES_MAX} at once")
    if asked.job_id is not None:
        license_id = jobs.license_of(connection, asked.job_id)
        if license_id is None or seen not in {None, license_id}:
            raise Refused(Code.NOT_FOUND, f"there is no job {asked.job_id}")
        return license_id
    owners = charges.licenses_of(connection, asked.charge_ids)
    for charge_id in asked.charge_ids:
        if charge_id not in owners or seen not in {None, owners[charge_id]}:
            raise Refused(Code.NOT_FOUND, f"there is no charge {charge_id}")
    licenses = set(owners.values())
    if len(licenses) > 1:
        raise bad("charges", "are of more than one license")
    return licenses.pop()


def show(deps: Deps, note_id: int) -> Shown:
    """A note as it stands. Raises `Refused` where there is none."""
    with deps.database.transaction() as connection:
        return _shown(connection, note_id)


def _shown(connection: Connection, note_id: int) -> Shown:
    credit_notes.give_time(connection)
    note = credit_note_reports.get(connection, note_id)
    if note is None:
        raise Refused(Code.NOT_FOUND, f"there is no refund {note_id}")
    about = credit_notes.charges_of(connection, note_id)
    return Shown(
        note=note,
        free_on_it=refunds.free_on(connection, about).charges,
        already_refunded=credit_note_reports.given_back_elsewhere(connection, note_id),
    )


def approve(deps: Deps, note_id: int, by: Acting) -> Shown:
    """Book what waits, as a second person whom the key names.

    Raises `Refused` where the key names nobody, or the one who has asked for it.
    """

    def book(connection: Connection) -> DecideResult:
        return credit_notes.approve(connection, note_id, author_of(by.actor))

    return _decided(deps, note_id, by, "approve_refund", book)


def reject(deps: Deps, note_id: int, reason: str, by: Acting) -> Shown:
    """End what waits; nothing is given back. The one who has asked for it may, too."""
    check_name(reason, "reason")

    def end(connection: Connection) -> DecideResult:
        return credit_notes.reject(connection, note_id, author_of(by.actor), reason)

    return _decided(deps, note_id, by._replace(reason=reason), "reject_refund", end)


def _decided(
    deps: Deps,
    note_id: int,
    by: Acting,
    verb: str,
    decide: Callable[[Connection], Any],
) -> Shown:
    with deps.database.transaction() as connection:
        refused = refusals.of_result(note_id, decide(connection))
        if refused is not None:
            raise refused
        shown = _shown(connection, note_id)
        _note_action(connection, by, verb, note_id, shown.note.license_id)
    return shown


def _note_action(
    connection: Connection, by: Acting, verb: str, note_id: int, license_id: str
) -> None:
    # An audit's reason may be longer than those of actions.
    short = by._replace(reason=by.reason and by.reason[:ACTION_REASON_MAX])
    action_log.note(connection, short, verb, Target("refund", str(note_id), license_id))
