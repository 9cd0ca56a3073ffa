"""What one run of a push's batch has come to, company by company, person by person.

A person may stand in several records, with another company in each: what became of
them is told of each record by itself, and remembered of the CRM's record once.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
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
from worker.pushes.sent_parts import Parts, digest_of


class Look(NamedTuple):
    """What is known of one before anything is sent, by us and in the CRM."""

    known: Entry | None
    intent: Intent | None
    match: Match | Merged | None


@dataclass(slots=True)
class BatchProgress:
    """What was intended, sent and done.

    `again` says that a try before this one may have sent some of it; `intended` is what
    it was about to do; `stop` is where the batch ends.
    """

    again: bool = False
    stop: int = 0
    sent_at: datetime | None = None
    intended: Mapping[Key, Intent] = field(default_factory=dict)
    done: dict[Key, Done] = field(default_factory=dict)
    persons: dict[Pair, Done] = field(default_factory=dict)

    def note(self, kind: Kind, ready: Ready, ended: Ended) -> None:
        """Note how one ended; what has been changed stays so, whatever comes later."""
        key = Key(kind, ready.wanted.id)
        before = self.done.get(key)
        if ended.is_changed or before is None or not before.ended.is_changed:
            self.done[key] = Done(ready, ended)
        if kind is Kind.PERSON:
            self.persons[_pair(ready)] = Done(ready, ended)

    def company_of(self, person: Ready) -> str | None:
        """The CRM's id of a person's company."""
        done = self.done.get(Key(Kind.COMPANY, person.company_id or ""))
        return done.ended.their_id if done else None

    def step_of(self, person: Ready, look: Look, push: Push) -> Plan:
        """What is to be done about a person as one of their company.

        What a try before this one was about to send of a company has to come to its
        end, and to be paid for: then whoever would be left alone is rejected, with the
        company's credit due.
        """
        plan = step_of(person, *look, push=push)
        company = Key(Kind.COMPANY, person.company_id or "")
        if isinstance(plan, Left) and company in self.intended:
            return Rejected(code=plan.code, message=plan.message)
        return self._continued(person, plan, push) if isinstance(plan, Step) else plan

    def _continued(self, person: Ready, step: Step, push: Push) -> Step:
        """The same of one who was sent just now with another company."""
        done = self.done.get(Key(Kind.PERSON, person.wanted.id))
        if done is None or not done.ended.is_changed or not step.is_to_send:
            return step
        kept = {
            Overwrite.ALWAYS: frozenset(),
            Overwrite.IF_EMPTY: done.ended.fields,
            Overwrite.NEVER: frozenset(step.fields),
        }[push.overwrite]
        fields = {n: v for n, v in step.fields.items() if n not in kept}
        return Step(
            change=Change.UPDATED if fields else Change.UNCHANGED,
            fields=fields,
            their_id=done.ended.their_id,
            link=done.ended.link,
            before=_digest(done, done.ready.parts),
        )

    def is_due(self, person: Ready, plan: Plan) -> bool:
        """Whether a person's turn has come: nobody is sent without their company.

        But for whom a try before this one was about to send, and whose company was
        there then: that has to come to its end.
        """
        if isinstance(plan, Left) or self.company_of(person) is not None:
            return True
        if Key(Kind.PERSON, person.wanted.id) not in self.intended:
            return False
        key = Key(Kind.COMPANY, person.company_id or "")
        company, intent = self.done.get(key), self.intended.get(key)
        is_left = company is not None and company.ended.left is not None
        return is_left or (intent is not None and intent.change is Change.UPDATED)

    def links(self, persons: Iterable[Ready]) -> Iterator[Link]:
        """The persons that were sent, with their companies."""
        for one in persons:
            done = self.persons.get(_pair(one))
            company = self.company_of(one)
            if done and done.ended.is_changed and done.ended.their_id and company:
                yield Link(one.wanted.id, done.ended.their_id, company)

    def unlinked(self, person: Ready, why: Rejected) -> None:
        """Note that a person is there, and not as one of their company."""
        done = self.persons[_pair(person)]
        self.note(Kind.PERSON, person, replace(done.ended, incomplete=why))

    def changed(self, kind: Kind) -> list[str]:
        """The CRM's ids of what was created or updated."""
        return [
            done.ended.their_id
            for key, done in self.done.items()
            if key.kind == kind and done.ended.is_changed and done.ended.their_id
        ]

    def pushed(self, connection_id: str) -> Pushed | None:
        """What is to be remembered of it; None where nothing was ever sent."""
        if self.sent_at is None:
            return None
        return Pushed(
            connection_id=connection_id,
            sent_at=self.sent_at,
            entries=tuple(
                _entry(key, done)
                for key, done in self.done.items()
                if done.ended.is_changed
            ),
            touched=tuple({*self.done, *self.intended}),
        )


def rounds(persons: Sequence[Ready]) -> list[list[Ready]]:
    """Nobody twice in a round: who is there with two companies has one for each."""
    found: list[dict[str, Ready]] = []
    for one in persons:
        place = next((some for some in found if one.wanted.id not in some), None)
        if place is None:
            place = {}
            found.append(place)
        place[one.wanted.id] = one
    return [list(some.values()) for some in found]


def _pair(person: Ready) -> Pair:
    return Pair(person.wanted.id, person.company_id or "")


def _entry(key: Key, done: Done) -> Entry:
    # Who is not linked, or was not acknowledged, has to be sent again.
    whole = done.ended.incomplete is None
    ready = done.ready
    return Entry(
        kind=key.kind,
        our_id=key.our_id,
        their_id=done.ended.their_id or "",
        digest=_digest(done, ready.parts) if whole else "",
        input_digest=_digest(done, ready.input_parts) if whole else "",
    )


def _digest(done: Done, parts: Parts) -> str:
    """What was sent, now and before; of what was kept as it was, nothing is."""
    kept = done.ready.wanted.fields.keys() - done.ended.fields
    sent = {name: part for name, part in parts.items() if name not in kept}
    return digest_of(sent, done.ended.before)
