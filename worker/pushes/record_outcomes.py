"""How the records of a push end: from what became of its companies and persons. Pure.

A record is its person, where it has one; its company's fate is its own where that was
rejected. An unpaid finding appears in no message: what the CRM says of a value is kept
without the value.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from pricing.findings import Finding, passes
from pricing.plans import Item
from pricing.settlement import Outcome, Result
from storage.connections.id_map import Key
from storage.crm_changes import Change
from storage.jobs.chunks import TakenChunk
from storage.jobs.outcomes import RecordOutcome
from storage.ledger.settlement import Claim
from worker.connections.connectors import connector
from worker.connections.connectors.connector import Kind, Rejected, Written
from worker.findings.batch_contents import Contents
from worker.findings.redaction import without_findings
from worker.pushes.field_values import Ready
from worker.pushes.record_plan import Left, Plan
from worker.quotes import due_claims
from worker.quotes.priced_records import PricedRecord

_MESSAGE_MAX = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How one company or person ended: a change, or why it was rejected or left alone.

    `fields` are those that were written, `before` is the digest of what was sent before
    of the same record. `is_known` says that it is as we have sent it
    before, and not just left alone; `incomplete` that it is in the CRM, and not all of
    it went well.
    """

    change: Change | None = None
    their_id: str | None = None
    link: str | None = None
    fields: frozenset[str] = frozenset()
    before: str = ""
    is_known: bool = False
    rejected: Rejected | None = None
    left: Left | None = None
    incomplete: Rejected | None = None

    @property
    def is_changed(self) -> bool:
        """Whether the CRM has created or updated it."""
        return self.change in {Change.CREATED, Change.UPDATED}


def ended(step: Plan, result: connector.Result | None, *, again: bool) -> Ended:
    """How one ended that was planned so; `again`: a try before may have created it."""
    if isinstance(step, Rejected):
        return Ended(rejected=step)
    if isinstance(step, Left):
        return Ended(left=step)
    match result:
        case Rejected():
            return Ended(rejected=result)
        case Written():
            created = step.change is Change.CREATED and (result.created or again)
            return Ended(
                change=Change.CREATED if created else Change.UPDATED,
                their_id=result.their_id,
                link=result.link,
                fields=frozenset(step.fields),
                before=step.before,
                incomplete=result.incomplete,
            )
    if step.has_arrived:
        return Ended(
            change=step.change,
            their_id=step.their_id,
            link=step.link,
            fields=frozenset(step.fields),
        )
    return Ended(
        change=Change.UNCHANGED,
        their_id=step.their_id,
        link=step.link,
        is_known=step.is_known,
    )


def excluded(chunk: TakenChunk, contents: Contents) -> set[int]:
    """The records that are not sent: left out, filtered, or of erased persons."""
    return {
        priced.record.number
        for priced in contents.records
        if priced.is_left_out
        or priced.record.person_id in contents.erased
        or (
            priced.record.person_id is not None
            and not passes(contents.finding(priced), chunk.only_with)
        )
    }


class Pair(NamedTuple):
    """A person as one of a company."""

    person_id: str
    company_id: str


class Done(NamedTuple):
    """What was to be sent of one, and how it ended."""

    ready: Ready
    ended: Ended


def of(
    contents: Contents,
    left_out: Collection[int],
    done: Mapping[Key, Done],
    persons: Mapping[Pair, Done],
) -> tuple[list[RecordOutcome], list[Claim]]:
    """The outcomes of a batch's records, in order, and what they make due."""
    outcomes: list[RecordOutcome] = []
    claims: list[Claim] = []
    for priced in contents.records:
        record, finding = priced.record, contents.finding(priced)
        if record.number in left_out:
            result = Result(outcome=Outcome.EXCLUDED)
            outcome = _outcome(priced, result)
        else:
            company = done.get(Key(Kind.COMPANY, record.company_id))
            person = persons.get(Pair(record.person_id or "", record.company_id))
            result, outcome = _of(priced, finding, company, person)
        outcomes.append(outcome)
        claims.extend(due_claims.claims_of(priced, result, finding))
    return outcomes, claims


def _of(
    priced: PricedRecord, finding: Finding, there: Done | None, one: Done | None
) -> tuple[Result, RecordOutcome]:
    """How a record ended: by its company that is `there`, and its person."""
    person = one.ended if one else None
    # Whom the customer wants left alone, nothing was sent of.
    if person is not None and person.left is not None:
        return _exclusion(priced, person.left)
    assert there is not None  # noqa: S101 - no other company is left unsent
    company = there.ended
    # Who is in the CRM is delivered, whatever has become of their company since.
    is_there = person is not None and person.is_changed
    if company.left is not None and not is_there:
        return _exclusion(priced, company.left)
    rejected = (
        None if is_there else company.rejected or (person.rejected if person else None)
    )
    if rejected is not None:
        due = company.is_changed
        result = Result(outcome=Outcome.REJECTED, company_due=due)
        return result, _rejection(priced, result, rejected, finding)
    main = person or company
    changed = main.is_changed or company.is_changed
    result = Result(
        outcome=Outcome.DELIVERED,
        email_found=one is not None and disclosed(one, Item.EMAIL),
        phone_found=one is not None and disclosed(one, Item.PHONE),
        unchanged=not changed,
        person_unchanged=not main.is_changed,
    )
    change = main.change
    if not main.is_changed and company.is_changed:
        change = Change.UPDATED
    outcome = _outcome(priced, result)._replace(change=change, link=main.link)
    # What has not gone well with it all the same.
    why = main.incomplete or company.incomplete
    return result, outcome if why is None else told(outcome, why, finding)


def disclosed(person: Done, item: Item) -> bool:
    """Whether what was found of a person is in the CRM by us."""
    targets = person.ready.found.get(item, frozenset())
    if person.ended.is_changed:
        return bool(targets & person.ended.fields)
    return bool(targets) and person.ended.is_known


def _outcome(priced: PricedRecord, result: Result) -> RecordOutcome:
    record = priced.record
    return RecordOutcome(
        record=record.number,
        company_id=record.company_id,
        person_id=record.person_id,
        outcome=result.outcome,
        email_found=result.email_found,
        phone_found=result.phone_found,
    )


def _exclusion(priced: PricedRecord, why: Left) -> tuple[Result, RecordOutcome]:
    result = Result(outcome=Outcome.EXCLUDED)
    told = _outcome(priced, result)._replace(code=why.code, message=why.message)
    return result, told


def _rejection(
    priced: PricedRecord, result: Result, why: Rejected, finding: Finding
) -> RecordOutcome:
    return told(_outcome(priced, result), why, finding)._replace(link=why.link)


def told(outcome: RecordOutcome, why: Rejected, finding: Finding) -> RecordOutcome:
    """A CRM's words, and its names of fields, as far as they may be told."""
    return outcome._replace(
        code=why.code,
        field=without_findings(why.field, finding) if why.field else None,
        message=without_findings(why.message, finding)[:_MESSAGE_MAX],
    )
