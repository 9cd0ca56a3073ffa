"""Credit notes: who may give charges back alone, and what waits for a second person.

Locks are taken in this order: the note that is decided on, entitlements, the author's
allowance, then as the ledger has it reservation and period, and last of all the row
that numbers are drawn from. So a number stands only where its note is booked.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from sqlalchemy import Connection, text

from storage import database
from storage.refunds import refunds
from storage.refunds.refunds import RefundResult, RefusedCharge
from storage.webhooks import events
from storage.webhooks.events import EventType


class NoteState(StrEnum):
    """How far a credit note is."""

    AWAITING_APPROVAL = "awaiting_approval"
    BOOKED = "booked"
    REJECTED = "rejected"


class Author(NamedTuple):
    """Who decides: `name` as people read it, `person` where a key names one."""

    name: str
    person: str | None = None
    key_id: str | None = None


_ANSWER_S = 1_800.0
"""What a statement about a million charges may take, on a machine that is busy."""

HOUSE = Author("holdfast")
"""Nobody has decided: what came of a rule needs no second person."""


class MakeResult(StrEnum):
    """What became of a credit note that was asked for."""

    BOOKED = "booked"
    AWAITING_APPROVAL = "awaiting_approval"
    REFUSED = "refused"
    """Charges cannot be given back: `refused` says which, and why."""
    NOTHING_LEFT = "nothing_left"
    """A job has no charge that is still to be given back."""
    NEEDS_A_PERSON = "needs_a_person"
    """It needs a second person, and the first one is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be given back: charges of one license, or all that a job has paid."""

    license_id: str
    reason: str
    charge_ids: Sequence[int] = ()
    job_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What is to become of a credit note, decided before anything is moved."""

    result: MakeResult
    wanted: Wanted
    author: Author
    charge_ids: list[int]
    credits: int
    refused: list[RefusedCharge]
    at: datetime
    counted_as: str | None = None


def give_time(connection: Connection) -> None:
    """Let the transaction give back all that a large job has paid, or nothing of it."""
    database.give_time(connection, _ANSWER_S)


def decide(
    connection: Connection,
    wanted: Wanted,
    author: Author,
    *,
    approval_credits: int | None,
    closes: bool = False,
) -> Decision:
    """Lock what is to be given back, and say whether the author may alone.

    Above `approval_credits` a day, summed up over a license, a second person has to
    approve. With `closes` the caller closes the job's reservation before it carries
    the decision out. Where the result is a refusal, nothing was changed.
    """
    give_time(connection)
    charge_ids = wanted.charge_ids
    if wanted.job_id is not None:
        charge_ids = refunds.paid_charges(connection, wanted.job_id)
    found = refunds.lock(connection, charge_ids, closes=closes)
    at = connection.execute(text("SELECT holdfast_now()")).scalar_one()
    refused = found.refused
    if wanted.job_id is not None:
        # Given back since they were asked for: the note is about the rest.
        refused = [one for one in refused if one.why not in _GONE]
    counted_as: str | None = None
    if refused:
        result = MakeResult.REFUSED
    elif not found.charge_ids:
        result = MakeResult.NOTHING_LEFT
    elif author == HOUSE:
        result = MakeResult.BOOKED
    else:
        counted_as = _allow(
            connection,
            wanted.license_id,
            author,
            credits_=found.credits,
            most=approval_credits,
            at=at,
        )
        result, refused = _unless_alone(counted_as, author, found.waiting)
    return Decision(
        result=result,
        wanted=wanted,
        author=author,
        charge_ids=found.charge_ids,
        credits=found.credits,
        refused=refused,
        at=at,
        counted_as=counted_as,
    )


_GONE = frozenset({RefundResult.ALREADY_REFUNDED})


def _unless_alone(
    counted_as: str | None, author: Author, waiting: list[RefusedCharge]
) -> tuple[MakeResult, list[RefusedCharge]]:
    if counted_as is not None:
        return MakeResult.BOOKED, []
    if waiting:
        return MakeResult.REFUSED, waiting
    if author.person is None:
        return MakeResult.NEEDS_A_PERSON, []
    return MakeResult.AWAITING_APPROVAL, []


# One statement counts and decides: of two at once the second sees the first's.
_ALLOW = text("""
INSERT INTO refund_allowances AS a (license_id, counted_as, day, credits)
SELECT :license_id, lower(:person),
       CAST(CAST(:at AS timestamptz) AT TIME ZONE 'UTC' AS date), :credits
 WHERE CAST(:most AS bigint) IS NULL OR :credits <= :most
ON CONFLICT (license_id, counted_as, day) DO UPDATE
   SET credits = a.credits + excluded.credits
 WHERE CAST(:most AS bigint) IS NULL OR a.credits + excluded.credits <= :most
RETURNING counted_as
""")


def _allow(
    connection: Connection,
    license_id: str,
    author: Author,
    *,
    credits_: int,
    most: int | None,
    at: datetime,
) -> str | None:
    """Count credits into what an author gives back alone today; None: it is too much.

    All whose keys name nobody are counted as one: who they are cannot be told.
    """
    counted_as: str | None = connection.execute(
        _ALLOW,
        {
            "license_id": license_id,
            "person": author.person or "",
            "credits": credits_,
            "most": most,
            "at": at,
        },
    ).scalar_one_or_none()
    return counted_as


def needs_approval(
    connection: Connection,
    license_id: str,
    author: Author,
    *,
    credits_: int,
    approval_credits: int | None,
) -> bool:
    """Whether a second person would have to approve so much now."""
    if approval_credits is None:
        return False
    alone: int = connection.execute(
        text("""
            SELECT coalesce(sum(credits), 0) FROM refund_allowances
             WHERE license_id = :license_id AND counted_as = lower(:person)
               AND day = CAST(holdfast_now() AT TIME ZONE 'UTC' AS date)"""),
        {"license_id": license_id, "person": author.person or ""},
    ).scalar_one()
    return alone + credits_ > approval_credits


_NUMBERED = """
WITH numbered AS (
  INSERT INTO credit_note_numbers AS n (license_id, last) VALUES (:license_id, 1)
  ON CONFLICT (license_id) DO UPDATE SET last = n.last + 1
  RETURNING last)
"""

_PUT_BOOKED = text(f"""
{_NUMBERED}
INSERT INTO credit_notes (id, license_id, number, state, job_id, credits, reason,
                          author, person, key_id, counted_as, created_at, decided_at)
SELECT :id, :license_id, last, 'booked', :job_id, :credits, :reason, :author, :person,
       :key_id, :counted_as, :at, :at
  FROM numbered RETURNING number
""")  # noqa: S608 - a constant

_PUT_WAITING = text("""
INSERT INTO credit_notes (id, license_id, state, job_id, credits, reason, author,
                          person, key_id, created_at)
VALUES (:id, :license_id, 'awaiting_approval', :job_id, :credits, :reason, :author,
        :person, :key_id, :at)
""")

_PUT_CHARGES = text("""
INSERT INTO credit_note_charges (credit_note_id, charge_id, state, period_id, credits)
SELECT :id, id, :state, period_id, credits
  FROM charges WHERE id = ANY (CAST(:charge_ids AS bigint[])) ORDER BY id
""")


def carry_out(connection: Connection, decision: Decision) -> int:
    """Book a decision that is no refusal, or let it wait; the id of its note."""
    wanted, author = decision.wanted, decision.author
    note_id: int = connection.execute(
        text("SELECT nextval('credit_notes_id_seq')")
    ).scalar_one()
    is_booked = decision.result is MakeResult.BOOKED
    if is_booked:
        refunds.book(connection, note_id, decision.charge_ids, wanted.reason)
    row = {
        "id": note_id,
        "license_id": wanted.license_id,
        "job_id": wanted.job_id,
        "credits": decision.credits,
        "reason": wanted.reason,
        "author": author.name,
        "person": author.person,
        "key_id": author.key_id,
        "counted_as": decision.counted_as,
        "at": decision.at,
    }
    connection.execute(
        _PUT_CHARGES,
        {
            "id": note_id,
            "state": decision.result.value,
            "charge_ids": decision.charge_ids,
        },
    )
    if is_booked:
        connection.execute(_PUT_BOOKED, row)
        _tell(connection, note_id, EventType.REFUND_BOOKED)
    else:
        connection.execute(_PUT_WAITING, row)
        _tell(connection, note_id, EventType.REFUND_AWAITING_APPROVAL)
    return note_id


class DecideResult(StrEnum):
    """What became of a note that somebody decided on."""

    DONE = "done"
    NOT_FOUND = "not_found"
    NOT_WAITING = "not_waiting"
    NEEDS_A_PERSON = "needs_a_person"
    """Nobody knows who it is that approves."""
    SAME_PERSON = "same_person"
    NOTHING_LEFT = "nothing_left"
    """All its charges were given back by other notes meanwhile."""


_LOCK = text("""
SELECT license_id, state, reason,
       lower(person) = lower(CAST(:person AS text)) AS is_same
  FROM credit_notes WHERE id = :id FOR NO KEY UPDATE
""")

_BOOK_WAITING = text(f"""
{_NUMBERED}
UPDATE credit_notes
   SET state = 'booked', number = numbered.last, credits = :credits,
       decided_by = :person, decided_key_id = :key_id, decided_at = holdfast_now()
  FROM numbered WHERE id = :id AND state = 'awaiting_approval'
""")  # noqa: S608 - a constant


def approve(connection: Connection, note_id: int, approver: Author) -> DecideResult:
    """Book what waits, by the word of a second person.

    Its charges are looked at again: what was given back meanwhile is left out.
    """
    give_time(connection)
    found = connection.execute(
        _LOCK, {"id": note_id, "person": approver.person}
    ).one_or_none()
    if found is None:
        return DecideResult.NOT_FOUND
    if approver.person is None:
        return DecideResult.NEEDS_A_PERSON
    if found.state != NoteState.AWAITING_APPROVAL:
        return DecideResult.NOT_WAITING
    if found.is_same is not False:
        return DecideResult.SAME_PERSON
    left = refunds.lock(connection, charges_of(connection, note_id))
    if not left.charge_ids:
        return DecideResult.NOTHING_LEFT
    refunds.book(connection, note_id, left.charge_ids, found.reason)
    connection.execute(
        _BOOK_WAITING,
        {
            "id": note_id,
            "license_id": found.license_id,
            "credits": left.credits,
            "person": approver.person,
            "key_id": approver.key_id,
        },
    )
    _tell(connection, note_id, EventType.REFUND_BOOKED)
    return DecideResult.DONE


def reject(
    connection: Connection, note_id: int, by: Author, reason: str
) -> DecideResult:
    """End what waits; nothing is given back, and its charges may be asked for anew."""
    give_time(connection)
    moved = connection.execute(
        text("""
            UPDATE credit_notes
               SET state = 'rejected', decided_by = :by, decided_key_id = :key_id,
                   decided_at = holdfast_now(), decision_reason = :reason
             WHERE id = :id AND state = 'awaiting_approval'"""),
        {
            "id": note_id,
            "by": by.person or by.name,
            "key_id": by.key_id,
            "reason": reason,
        },
    )
    if moved.rowcount == 1:
        _tell(connection, note_id, EventType.REFUND_REJECTED)
        return DecideResult.DONE
    found = connection.execute(_LOCK, {"id": note_id, "person": ""}).one_or_none()
    return DecideResult.NOT_FOUND if found is None else DecideResult.NOT_WAITING


def charges_of(connection: Connection, note_id: int) -> list[int]:
    """The charges that a note is about, given back by it or not."""
    rows = connection.execute(
        text("""
            SELECT charge_id FROM credit_note_charges
             WHERE credit_note_id = :id ORDER BY charge_id"""),
        {"id": note_id},
    )
    return list(rows.scalars())


def erase_words(connection: Connection, person_id: str, license_id: str | None) -> int:
    """Remove what people wrote in notes about a person's charges; of how many notes."""
    erased = connection.execute(
        text("""
            UPDATE credit_notes SET reason = NULL, decision_reason = NULL
             WHERE id IN (
                   SELECT each.credit_note_id FROM credit_note_charges AS each
                     JOIN charges AS c ON c.id = each.charge_id
                    WHERE c.item <> 'company'
                      AND holdfast_trimmed(c.subject) = :person_id
                      AND (:license_id = '' OR c.license_id = :license_id))
               AND (reason IS NOT NULL OR decision_reason IS NOT NULL)"""),
        {"person_id": person_id, "license_id": license_id or ""},
    )
    return erased.rowcount


def _tell(connection: Connection, note_id: int, type_: EventType) -> None:
    """Say what became of a note; who decided, and why, is told to nobody outside."""
    row = connection.execute(
        text("""
            SELECT license_id, number, state, job_id, credits FROM credit_notes
             WHERE id = :id"""),
        {"id": note_id},
    ).one()
    data = {
        "refund": note_id,
        "license": row.license_id,
        "number": row.number,
        "state": row.state,
        "job": row.job_id,
        "credits": row.credits,
    }
    events.put(connection, row.license_id, type_, str(note_id), data)
