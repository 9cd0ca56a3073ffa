"""What a record becomes in a CRM: its values, by the CRM's own names of the fields."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pricing.findings import Finding
from pricing.plans import Item
from worker.connections.connectors.connector import Field, Kind, Wanted
from worker.pushes import sent_parts
from worker.pushes.push_options import (
    FULL_NAME,
    VALUE_OF,
    Overwrite,
    Push,
    sources_of,
)
from worker.pushes.sent_parts import Parts
from worker.quotes.readers.records import Record

_DIGEST_HEX = 32
_STATUS = "email_status"
_ADDRESS = VALUE_OF[Item.EMAIL]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """One company or person as it is to be sent, with what tells it from what was.

    `parts` are all that would be written, `input_parts` those that are not found;
    `older` and `older_inputs` are the same as older versions have remembered it.
    `found` are the targets that are filled by what was found, by item; `tells_of` those
    that only tell of what another target holds, by that one.
    """

    wanted: Wanted
    parts: Parts
    input_parts: Parts
    older: frozenset[str] = frozenset()
    older_inputs: frozenset[str] = frozenset()
    company_id: str | None
    found: Mapping[Item, frozenset[str]]
    tells_of: Mapping[str, str] = field(default_factory=dict)


class Values:
    """Turns the records of one push into what its CRM is to have."""

    def __init__(
        self,
        push: Push,
        defaults: Mapping[Kind, Mapping[str, str]],
        columns: Sequence[str],
        retrieve: Sequence[Item],
    ) -> None:
        self._push = push
        self._sources = sources_of(columns, retrieve)
        self.targets = {
            kind: push.targets(kind, defaults[kind], self._sources) for kind in Kind
        }
        self._owner: dict[str, str] = {}
        self._fields: dict[Kind, Mapping[str, Field]] = {}

    def fit(self, kind: Kind, fields: Mapping[str, Field]) -> None:
        """Join what is several values as these fields of the CRM have it."""
        self._fields[kind] = fields

    def own(self, owner_field: str, owner_id: str) -> None:
        """Give what is sent to an owner of the CRM."""
        self._owner = {owner_field: owner_id}

    def company(self, record: Record) -> Ready:
        """A record's company; its domain is what else it may be known by."""
        given = self._given(Kind.COMPANY, record)
        domain = record.text("company_domain").strip()
        return self._ready(Kind.COMPANY, record.company_id, given, {}, match=domain)

    def person(self, record: Record, finding: Finding) -> Ready:
        """A record's person; an e-mail address is what else they may be known by."""
        assert record.person_id is not None  # noqa: S101 - the caller has looked
        values = {
            "email": finding.email,
            _STATUS: finding.email_status.value if finding.email else None,
            "phone": finding.phone,
        }
        given = self._given(Kind.PERSON, record)
        found = {
            source: (target, values[source] or "")
            for source, target in self.targets[Kind.PERSON].items()
            if source in values and self._sources.get(source, "") is None
            if values[source] or (self._push.send_blanks and not given.get(target))
        }
        match = finding.email or _email_of_input(record)
        return self._ready(
            Kind.PERSON,
            record.person_id,
            given,
            found,
            match=match,
            company_id=record.company_id,
        )

    def _given(self, kind: Kind, record: Record) -> dict[str, str]:
        """What comes from the input."""
        given = {}
        for source, target in self.targets[kind].items():
            column = self._sources.get(source)
            if source == FULL_NAME:
                names = (record.text("first_name"), record.text("last_name"))
                value = " ".join(name.strip() for name in names if name.strip())
            elif column is None:
                continue
            else:
                value = record.text(column).strip()
            if value or self._push.send_blanks:
                there = self._fields.get(kind, {}).get(target)
                given[target] = there.joined(value) if there else value
        return given | self._owner

    def _ready(
        self,
        kind: Kind,
        our_id: str,
        given: Mapping[str, str],
        found: Mapping[str, tuple[str, str]],
        *,
        match: str,
        company_id: str | None = None,
    ) -> Ready:
        fields = {**given, **dict(found.values())}
        choices = sent_parts.of_choices(company_id, self._push.tags)
        return Ready(
            wanted=Wanted(id=our_id, fields=fields, match=match),
            parts=sent_parts.of_fields(fields) | choices,
            input_parts=sent_parts.of_fields(given) | choices,
            older=self._older(kind, company_id, fields),
            older_inputs=self._older(kind, company_id, given),
            company_id=company_id,
            found={
                item: frozenset(
                    target
                    for source, (target, value) in found.items()
                    if source == paid_for and value
                )
                for item, paid_for in VALUE_OF.items()
            },
            tells_of={found[_STATUS][0]: found[_ADDRESS][0]}
            if _STATUS in found and _ADDRESS in found
            else {},
        )

    def _older(
        self, kind: Kind, company_id: str | None, fields: Mapping[str, str]
    ) -> frozenset[str]:
        """Digests by which older versions have remembered that all this was sent."""
        push, values = self._push, sorted(fields.items())
        return frozenset(
            _digest([kind, overwrite, tags, company_id, values])
            for overwrite in {push.overwrite, Overwrite.ALWAYS}
            for tags in {push.tags, ()}
            if overwrite is Overwrite.ALWAYS or tags == push.tags
        )


def _email_of_input(record: Record) -> str:
    return record.text("email").strip() or record.text("person_email").strip()


def _digest(what: object) -> str:
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:_DIGEST_HEX]
