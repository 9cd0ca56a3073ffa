"""What one run of a push's batch has come to, company by company, person by person.

A person may stand in several records, with another company in each: what became of
them is told of each record by itself, and remembered of the CRM's record once.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from storage.connections.id_map import Entry, Key
from storage.crm_changes import Change
from storage.pushes.intents import Intent
from storage.pushes.pushed_batches import Pushed
from worker.connections.connectors.connector import Kind, Link, Match, Rejected
from worker.pushes.field_values import Ready
from worker.pushes.push_options import Overwrite, Push
from worker.pushes.record_outcomes import Done, Ended, Pair
from worker.pushes.record_plan import Left, Merged, Plan, Step, step_of
from worker.pushes.sent_parts import digest_of


class Look(NamedTuple):
    """What is known of one before anything is sent, by us and in the CRM."""

    known: Entry | None = None
    intent: Intent | None = None
    match: Match | Merged | None = None


NEW = Look()
"""Of whom nothing is known."""


@dataclass(slots=True)
class BatchProgress:
    """What was intended, sent and done.

    `again` says that a try before this one may have sent some of it; `intended` is what
    it was about to do; `stop` is where the batch ends. `companies` and `persons` are
    what was done of each, by our ids; `pairs` the persons as those of each company.
    """

    again: bool = False
    stop: int = 0
    sent_at: datetime | None = None
    intended: Mapping[Key, Intent] = field(default_factory=dict)
    companies: dict[str, Done] = field(default_factory=dict)
    persons: dict[str, Done] = field(default_factory=dict)
    pairs: dict[Pair, Done] = field(default_factory=dict)

    def of(self, kind: Kind) -> dict[str, Done]:
        """What was done of all of one kind."""
        return self.companies if kind is Kind.COMPANY else self.persons

    def note(self, ready: Ready, ended: Ended) -> None:
        """Note how one ended; what has been changed stays so, whatever comes later."""
        our_id, done = ready.wanted.id, Done(ready, ended)
        if ready.kind is Kind.PERSON:
            self.pairs[our_id, ready.company_id or ""] = done
            kept = self.persons
        else:
            kept = self.companies
        if ended.is_changed:
            kept[our_id] = done
        else:
            before = kept.get(our_id)
            if before is None or not before.ended.is_changed:
                kept[our_id] = done

    def company_of(self, person: Ready) -> str | None:
        """The CRM's id of a person's company."""
        done = self.companies.get(person.company_id or "")
        return done.ended.their_id if done else None

    def step_of(self, person: Ready, look: Look, push: Push) -> Plan:
        """What is to be done about a person as one of their company, unless twice.

        What a try before this one was about to send of a company has to come to its
        end, and to be paid for: then whoever would be left alone is rejected, with the
        company's credit due.
        """
        plan = step_of(person, look.known, look.intent, look.match, push=push)
        if not self.intended or not isinstance(plan, Left):
            return plan
        if Key(Kind.COMPANY, person.company_id or "") not in self.intended:
            return plan
        return Rejected(code=plan.code, message=plan.message)

    def continued(self, person: Ready, plan: Plan, push: Push) -> Plan:
        """The same of one who was sent just now with another company."""
        done = self.persons.get(person.wanted.id)
        if done is None or not done.ended.is_changed:
            return plan
        if not isinstance(plan, Step) or not plan.is_to_send:
            return plan
        kept = {
            Overwrite.ALWAYS: frozenset(),
            Overwrite.IF_EMPTY: done.ended.fields,
            Overwrite.NEVER: frozenset(plan.fields),
        }[push.overwrite]
        fields = {n: v for n, v in plan.fields.items() if n not in kept}
        return Step(
            change=Change.UPDATED if fields else Change.UNCHANGED,
            fields=fields,
            their_id=done.ended.their_id,
            link=done.ended.link,
            before=_digest(done),
        )

    def is_due(self, person: Ready, plan: Plan) -> bool:
        """Whether a person's turn has come: nobody is sent without their company.

        But for whom a try before this one was about to send, and whose company was
        there then: that has to come to its end.
        """
        if self.company_of(person) is not None or isinstance(plan, Left):
            return True
        if Key(Kind.PERSON, person.wanted.id) not in self.intended:
            return False
        company_id = person.company_id or ""
        company = self.companies.get(company_id)
        intent = self.intended.get(Key(Kind.COMPANY, company_id))
        is_left = company is not None and company.ended.left is not None
        return is_left or (intent is not None and intent.change is Change.UPDATED)

    def links(self, persons: Iterable[Ready]) -> Iterator[Link]:
        """The persons that were sent, with their companies."""
        for one in persons:
            done = self.pairs.get(_pair(one))
            if done is None or not done.ended.is_changed or not done.ended.their_id:
                continue
            company = self.company_of(one)
            if company:
                yield Link(one.wanted.id, done.ended.their_id, company)

    def unlinked(self, person: Ready, why: Rejected) -> None:
        """Note that a person is there, and not as one of their company."""
        done = self.pairs[_pair(person)]
        self.note(person, done.ended._replace(incomplete=why))

    def changed(self, kind: Kind) -> list[str]:
        """The CRM's ids of what was created or updated."""
        return [
            done.ended.their_id
            for done in self.of(kind).values()
            if done.ended.is_changed and done.ended.their_id
        ]

    def pushed(self, connection_id: str) -> Pushed | None:
        """What is to be remembered of it; None where nothing was ever sent."""
        if self.sent_at is None:
            return None
        return Pushed(
            connection_id=connection_id,
            sent_at=self.sent_at,
            entries=tuple(
                _entry(our_id, done)
                for kind in Kind
                for our_id, done in self.of(kind).items()
                if done.ended.is_changed
            ),
            resolved=tuple(self.intended),
        )


class Planned(NamedTuple):
    """One company or person, and what is to be done about it."""

    ready: Ready
    plan: Plan


def rounds(persons: Sequence[Planned]) -> list[list[Planned]]:
    """Nobody twice in a round: who is there with two companies has one for each."""
    found: list[dict[str, Planned]] = []
    for one in persons:
        our_id = one.ready.wanted.id
        place = next((some for some in found if our_id not in some), None)
        if place is None:
            place = {}
            found.append(place)
        place[our_id] = one
    return [list(some.values()) for some in found]


def _pair(person: Ready) -> Pair:
    return person.wanted.id, person.company_id or ""


def _entry(our_id: str, done: Done) -> Entry:
    # Who is not linked, or was not acknowledged, has to be sent again.
    ready, ended = done
    digest = "" if ended.incomplete else _digest(done)
    return Entry(ready.kind.value, our_id, ended.their_id or "", digest)


def _digest(done: Done) -> str:
    """What was sent, now and before; of what was kept as it was, nothing is."""
    ready, ended = done
    fields = ready.wanted.fields.keys()
    if fields <= ended.fields and not ended.before:
        return ready.digest
    kept = fields - ended.fields
    parts = {name: part for name, part in ready.parts.items() if name not in kept}
    return digest_of(parts, ended.before)
