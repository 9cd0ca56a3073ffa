"""What records become in a CRM: their values, by the CRM's own names of the fields.

Values are made for all records of a batch together, column by column.
"""

import hashlib
import json
from collections.abc import Container, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from pricing.findings import FoundColumns
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
from worker.quotes.priced_records import PricedRecords

_DIGEST_HEX = 32
_STATUS = "email_status"
_ADDRESS, _PHONE = VALUE_OF[Item.EMAIL], VALUE_OF[Item.PHONE]
_FOUND = {_ADDRESS, _STATUS, _PHONE}
_NOTHING_FOUND: Mapping[Item, frozenset[str]] = MappingProxyType(
    dict.fromkeys(VALUE_OF, frozenset())
)
_OF_NOTHING: Mapping[str, str] = MappingProxyType({})


class Ready(NamedTuple):
    """One company or person as it is to be sent, with what tells it from what was.

    `given` are the fields that come from the input, without those that are found.
    `found` are the targets that are filled by what was found, by item; `tells_of` those
    that only tell of what another target holds, by that one.
    """

    wanted: Wanted
    given: Mapping[str, str]
    company_id: str | None
    kind: Kind
    push: Push
    found: Mapping[Item, frozenset[str]] = _NOTHING_FOUND
    tells_of: Mapping[str, str] = _OF_NOTHING

    @property
    def parts(self) -> Parts:
        """The parts of all that would be written."""
        return self._parts_of(self.wanted.fields)

    @property
    def digest(self) -> str:
        """The digest of its parts."""
        choices = sent_parts.of_choices(self.company_id, self.push.tags)
        return sent_parts.whole_digest(self.wanted.fields, choices)

    @property
    def input_parts(self) -> Parts:
        """The parts of what would be written but for what is found."""
        return self._parts_of(self.given)

    @property
    def older(self) -> Container[str]:
        """Digests by which older versions have remembered that all this was sent."""
        return _Older(self, self.wanted.fields)

    @property
    def older_inputs(self) -> Container[str]:
        """The same of what is not found."""
        return _Older(self, self.given)

    def _parts_of(self, fields: Mapping[str, str]) -> Parts:
        choices = sent_parts.of_choices(self.company_id, self.push.tags)
        return {**sent_parts.of_fields(fields), **choices}


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
        self._found_targets = {
            source: target
            for source, target in self.targets[Kind.PERSON].items()
            if source in _FOUND and self._sources.get(source, "") is None
        }

    def fit(self, kind: Kind, fields: Mapping[str, Field]) -> None:
        """Join what is several values as these fields of the CRM have it."""
        self._fields[kind] = fields

    def own(self, owner_field: str, owner_id: str) -> None:
        """Give what is sent to an owner of the CRM."""
        self._owner = {owner_field: owner_id}

    def companies(self, records: PricedRecords) -> list[Ready]:
        """Each record's company; its domain is what else it may be known by.

        Records that say the same of a company have it in common.
        """
        names, columns = self._given(Kind.COMPANY, records)
        domains = records.stripped("company_domain")
        made: dict[tuple[str, ...], Ready] = {}
        rows = list(zip(records.company_ids, domains, *columns, strict=True))
        for row in dict.fromkeys(rows):
            company_id, domain, *values = row
            fields = self._filled(names, values)
            wanted = Wanted(company_id, fields, domain)
            made[row] = Ready(wanted, fields, None, Kind.COMPANY, self._push)
        return [made[row] for row in rows]

    def persons(self, records: PricedRecords, found: FoundColumns) -> list[Ready]:
        """The persons of the records that have one; an address may tell who they are.

        `found` stands at the places of the records.
        """
        names, columns = self._given(Kind.PERSON, records)
        matches = _addresses(records, found)
        push, filled = self._push, self._filled
        ready = []
        for place, (person_id, company_id, match, *values) in enumerate(
            zip(records.person_ids, records.company_ids, matches, *columns, strict=True)
        ):
            if person_id is None:
                continue
            given = filled(names, values)
            wanted = Wanted(person_id, given, match)
            one = Ready(wanted, given, company_id, Kind.PERSON, push)
            if self._found_targets:
                one = _with_found(one, self._found(found, place, given))
            ready.append(one)
        return ready

    def _filled(self, names: Sequence[str], values: Sequence[str]) -> dict[str, str]:
        """Fields with their values; blank ones where blanks are sent."""
        if self._push.send_blanks or "" not in values:
            return dict(zip(names, values, strict=True))
        both = zip(names, values, strict=True)
        return {name: value for name, value in both if value}

    def _found(
        self, found: FoundColumns, place: int, given: Mapping[str, str]
    ) -> dict[str, tuple[str, str]]:
        """The target and value of each source that is found, or may be cleared."""
        email = found.emails[place]
        values = {
            _ADDRESS: email,
            _STATUS: found.email_statuses[place].value if email else None,
            _PHONE: found.phones[place],
        }
        return {
            source: (target, values[source] or "")
            for source, target in self._found_targets.items()
            if values[source] or (self._push.send_blanks and not given.get(target))
        }

    def _given(
        self, kind: Kind, records: PricedRecords
    ) -> tuple[list[str], list[Sequence[str]]]:
        """What comes from the input: targets, and a column of values for each."""
        names: list[str] = []
        columns: list[Sequence[str]] = []
        fields = self._fields.get(kind) or {}
        for source, target in self.targets[kind].items():
            column = self._sources.get(source)
            if source == FULL_NAME:
                values = _full_names(records)
            elif column is None:
                continue
            else:
                values = records.stripped(column)
            there = fields.get(target)
            if there is not None and there.separator is not None:
                values = [there.joined(value) for value in values]
            names.append(target)
            columns.append(values)
        for owner_field, owner_id in self._owner.items():
            names.append(owner_field)
            columns.append([owner_id] * len(records))
        return names, columns


def _with_found(ready: Ready, found: Mapping[str, tuple[str, str]]) -> Ready:
    """One of whom something was found, or is to be cleared."""
    if not found:
        return ready
    fields = {**ready.given, **dict(found.values())}
    is_told = _STATUS in found and _ADDRESS in found
    return ready._replace(
        wanted=ready.wanted._replace(fields=fields),
        found={
            item: frozenset(
                target
                for source, (target, value) in found.items()
                if source == paid_for and value
            )
            for item, paid_for in VALUE_OF.items()
        },
        tells_of={found[_STATUS][0]: found[_ADDRESS][0]} if is_told else _OF_NOTHING,
    )


def _full_names(records: PricedRecords) -> list[str]:
    names = zip(
        records.stripped("first_name"), records.stripped("last_name"), strict=True
    )
    return [" ".join(filter(None, both)) for both in names]


def _addresses(records: PricedRecords, found: FoundColumns) -> Iterator[str]:
    """What each person may be known by: what was found, or else what the input has."""
    return (
        one or given or more
        for one, given, more in zip(
            found.emails,
            records.stripped("email"),
            records.stripped("person_email"),
            strict=True,
        )
    )


class _Older:
    """Digests by which older versions have remembered that all this was sent.

    They are made where one is asked for that is of no parts: hardly ever.
    """

    __slots__ = ("_fields", "_ready")

    def __init__(self, ready: Ready, fields: Mapping[str, str]) -> None:
        self._ready = ready
        self._fields = fields

    def __contains__(self, digest: object) -> bool:
        if not isinstance(digest, str) or sent_parts.is_of_parts(digest):
            return False
        ready, push = self._ready, self._ready.push
        values = sorted(self._fields.items())
        return digest in {
            older_digest([ready.kind, overwrite, tags, ready.company_id, values])
            for overwrite in {push.overwrite, Overwrite.ALWAYS}
            for tags in {push.tags, ()}
            if overwrite is Overwrite.ALWAYS or tags == push.tags
        }


def older_digest(what: object) -> str:
    """One digest of all that was sent of a record, as older versions have kept it."""
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:_DIGEST_HEX]
