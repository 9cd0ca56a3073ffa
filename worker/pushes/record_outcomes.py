"""How the records of a push end: from what became of its companies and persons. Pure.

A record is its person, where it has one; its company's fate is its own where that was
rejected. An unpaid finding appears in no message: what the CRM says of a value is kept
without the value.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import NamedTuple

from pricing.findings import Finding, FoundColumns, passes
from pricing.plans import Item
from pricing.settlement import Outcome, Result
from storage.crm_changes import Change
from storage.jobs.chunks import TakenChunk
from storage.jobs.outcomes import OutcomeColumns
from worker.connections.connectors import connector
from worker.connections.connectors.connector import Rejected, Written
from worker.findings.batch_contents import Contents
from worker.findings.redaction import without_findings
from worker.pushes.field_values import Ready
from worker.pushes.record_plan import Left, Plan
from worker.quotes.priced_records import PricedRecords

_MESSAGE_MAX = 1_000
_NO_FIELDS: frozenset[str] = frozenset()


class Ended(NamedTuple):
    """How one company or person ended: a change, or why it was rejected or left alone.

    `fields` are those that were written, `before` is the digest of what was sent before
    of the same record. `is_known` says that it is as we have sent it
    before, and not just left alone; `incomplete` that it is in the CRM, and not all of
    it went well.
    """

    change: Change | None = None
    their_id: str | None = None
    link: str | None = None
    fields: frozenset[str] = _NO_FIELDS
    before: str = ""
    is_known: bool = False
    rejected: Rejected | None = None
    left: Left | None = None
    incomplete: Rejected | None = None

    @property
    def is_changed(self) -> bool:
        """Whether the CRM has created or updated it."""
        change = self.change
        return change is Change.CREATED or change is Change.UPDATED


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
                Change.CREATED if created else Change.UPDATED,
                result.their_id,
                result.link,
                names_of(tuple(step.fields)),
                step.before,
                incomplete=result.incomplete,
            )
    if step.has_arrived:
        return Ended(
            change=step.change,
            their_id=step.their_id,
            link=step.link,
            fields=names_of(tuple(step.fields)),
        )
    return Ended(
        change=Change.UNCHANGED,
        their_id=step.their_id,
        link=step.link,
        is_known=step.is_known,
    )


@lru_cache(256)
def names_of(fields: tuple[str, ...]) -> frozenset[str]:
    """The names of some fields; most records of a push have the same."""
    return frozenset(fields)


def sent_places(chunk: TakenChunk, contents: Contents) -> list[int]:
    """Where the records stand that are sent.

    Not those that are left out, filtered, or of erased persons.
    """
    records, erased, found = contents.records, contents.erased, contents.found
    asks, only_with = [bool(claims) for claims in records.patterns], chunk.only_with
    each = zip(records.claims, records.person_ids, strict=True)
    places = [
        place
        for place, (claims, person_id) in enumerate(each)
        if asks[claims] and (person_id is None or person_id not in erased)
    ]
    if only_with is None:
        return places
    return [
        place
        for place in places
        if records.person_ids[place] is None or passes(found.at(place), only_with)
    ]


class Done(NamedTuple):
    """What was to be sent of one, and how it ended."""

    ready: Ready
    ended: Ended


Pair = tuple[str, str]
"""A person as one of a company: their ids."""


class Outcomes(NamedTuple):
    """The outcomes of a batch's records, in order, and what decides what is due."""

    columns: OutcomeColumns
    results: list[Result]


def of(
    contents: Contents,
    sent: Collection[int],
    companies: Mapping[str, Done],
    persons: Mapping[Pair, Done],
) -> Outcomes:
    """What became of a batch's records, of which those at some places were sent."""
    records, found = contents.records, contents.found
    told = _Told(found)
    results = []
    are_sent = set(sent)
    for place, (company_id, person_id) in enumerate(
        zip(records.company_ids, records.person_ids, strict=True)
    ):
        if place not in are_sent:
            results.append(_EXCLUDED)
            continue
        company = companies.get(company_id)
        person = persons.get((person_id or "", company_id))
        results.append(told.result_of(place, company, person))
    return Outcomes(told.columns(records, results), results)


@cache
def _result(outcome: Outcome, *, company_due: bool = False) -> Result:
    """One for all records that ended alike: what is due of them is decided once."""
    return Result(outcome=outcome, company_due=company_due)


@cache
def _delivered(
    email_found: bool,
    phone_found: bool,
    unchanged: bool,
    person_unchanged: bool,
) -> Result:
    return Result(
        outcome=Outcome.DELIVERED,
        email_found=email_found,
        phone_found=phone_found,
        unchanged=unchanged,
        person_unchanged=person_unchanged,
    )


_EXCLUDED = _result(Outcome.EXCLUDED)


@dataclass(slots=True)
class _Told:
    """What is told of records beside how they ended, by their places."""

    found: FoundColumns
    codes: dict[int, str] = field(default_factory=dict)
    fields: dict[int, str] = field(default_factory=dict)
    messages: dict[int, str] = field(default_factory=dict)
    changes: dict[int, Change] = field(default_factory=dict)
    links: dict[int, str] = field(default_factory=dict)

    def result_of(self, place: int, there: Done | None, one: Done | None) -> Result:
        """How a record ended: by its company that is `there`, and its person."""
        person = one.ended if one else None
        # Whom the customer wants left alone, nothing was sent of.
        if person is not None and person.left is not None:
            return self._exclusion(place, person.left)
        assert there is not None  # noqa: S101 - no other company is left unsent
        company = there.ended
        # Who is in the CRM is delivered, whatever has become of their company since.
        is_there = person is not None and person.is_changed
        if company.left is not None and not is_there:
            return self._exclusion(place, company.left)
        if not is_there:
            why = company.rejected or (person.rejected if person else None)
            if why is not None:
                self._explain(place, why, link=why.link)
                return _result(Outcome.REJECTED, company_due=company.is_changed)
        return self._delivery(place, company, one)

    def _delivery(self, place: int, company: Ended, one: Done | None) -> Result:
        main = one.ended if one else company
        is_changed = main.is_changed
        change = main.change
        if not is_changed and company.is_changed:
            change = Change.UPDATED
        if change is not None:
            self.changes[place] = change
        # What has not gone well with it all the same.
        why = main.incomplete or company.incomplete
        if why is not None:
            self._explain(place, why, link=main.link)
        elif main.link is not None:
            self.links[place] = main.link
        return _delivered(
            one is not None and disclosed(one, Item.EMAIL),
            one is not None and disclosed(one, Item.PHONE),
            not (is_changed or company.is_changed),
            not is_changed,
        )

    def _exclusion(self, place: int, why: Left) -> Result:
        self.codes[place], self.messages[place] = why.code, why.message
        return _EXCLUDED

    def _explain(self, place: int, why: Rejected, *, link: str | None) -> None:
        """A CRM's words, and its names of fields, as far as they may be told."""
        words = told(why, self.found.at(place))
        self.codes[place], self.messages[place] = why.code, words.message
        if words.field is not None:
            self.fields[place] = words.field
        if link is not None:
            self.links[place] = link

    def columns(
        self, records: PricedRecords, results: Iterable[Result]
    ) -> OutcomeColumns:
        """The outcomes of all records, by columns."""
        ended = list(results)
        return OutcomeColumns(
            records=records.numbers,
            company_ids=records.company_ids,
            person_ids=records.person_ids,
            outcomes=[one.outcome for one in ended],
            email_found=[one.email_found for one in ended],
            phone_found=[one.phone_found for one in ended],
            codes=self.codes,
            fields=self.fields,
            messages=self.messages,
            changes=self.changes,
            links=self.links,
        )


def disclosed(person: Done, item: Item) -> bool:
    """Whether what was found of a person is in the CRM by us."""
    targets = person.ready.found[item]
    if not targets:
        return False
    if person.ended.is_changed:
        return not targets.isdisjoint(person.ended.fields)
    return person.ended.is_known


class Words(NamedTuple):
    """What a CRM says of a record that it did not take as it was."""

    field: str | None
    message: str


def told(why: Rejected, finding: Finding) -> Words:
    """A CRM's words, and its names of fields, as far as they may be told."""
    return Words(
        without_findings(why.field, finding) if why.field else None,
        without_findings(why.message, finding)[:_MESSAGE_MAX],
    )
