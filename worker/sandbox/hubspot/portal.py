"""A HubSpot account as it stands: records, what is known of them, owners and lists."""

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import Any

from worker.infrastructure.clock import monotonic_s, wall_s

TYPE_IDS = {"contacts": "0-1", "companies": "0-2"}
USUAL = {
    "contacts": ("email", "firstname", "lastname"),
    "companies": ("domain", "name"),
}
"""What an answer shows of a record where nobody has chosen its properties."""
_STAGES = ("subscriber", "lead", "opportunity", "customer")
_FIRST_ID = 1_001
_OWNERS = (
    ("71", "ada@acme.example", "Ada", "Byron"),
    ("72", "grace@acme.example", "Grace", "Hopper"),
    ("73", "alex@acme.example", "Alex", "Kim"),
    ("74", "alex.kim@acme.example", "Alex", "Kim"),
)
_MERGED = "hs_merged_object_ids"
_AFTER_MERGES = {
    "hs_additional_emails": "email",
    _MERGED: "id",
    "hs_calculated_merged_vids": "id",
}
_GROUPS = {"contacts": "contactinformation", "companies": "companyinformation"}


def instant(at_s: float | None = None) -> str:
    """An instant as HubSpot writes it; now, where none is said."""
    at = datetime.fromtimestamp(wall_s() if at_s is None else at_s, tz=UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(slots=True)
class Record:
    """A contact or a company; `changed_s` is when the search's index saw it last."""

    id: str
    properties: dict[str, str]
    created_at: str = field(default_factory=instant)
    updated_at: str = field(default_factory=instant)
    changed_s: float = field(default_factory=monotonic_s)
    archived: bool = False

    def value(self, name: str) -> str | None:
        """The value of a property; None where it has none."""
        given = {
            "hs_object_id": self.id,
            "createdate": self.created_at,
            "lastmodifieddate": self.updated_at,
        }
        return given.get(name) or self.properties.get(name) or None

    def shown(self, names: Sequence[str] | None = None) -> dict[str, Any]:
        """As it is answered: with the properties that were asked for, or all it has."""
        own = ("hs_object_id", "createdate", "lastmodifieddate")
        asked = self.properties if names is None else names
        return {
            "id": self.id,
            "properties": {name: self.value(name) for name in (*own, *asked)},
            "createdAt": self.created_at,
            "updatedAt": self.updated_at,
            "archived": self.archived,
        }


class Objects:
    """All records of one type, and what is unique among them."""

    def __init__(self, type_: str) -> None:
        self.type = type_
        self.type_id = TYPE_IDS[type_]
        self.properties = {one["name"]: one for one in _defaults(type_)}
        self.records: dict[str, Record] = {}
        self._holders: dict[tuple[str, str], str] = {}
        self._ids = count(_FIRST_ID)

    def new_id(self) -> str:
        """An id that no record has had."""
        return str(next(self._ids))

    def is_unique(self, name: str) -> bool:
        """Whether no two records have the same value of a property."""
        return bool(self.properties.get(name, {}).get("hasUniqueValue"))

    def alive(self) -> Iterator[Record]:
        """The records that are not archived, by age."""
        return (record for record in self.records.values() if not record.archived)

    def get(self, record_id: str) -> Record | None:
        """The record with an id, or merged with it, if it is there and not archived."""
        record = self.records.get(self.holder("id", record_id) or record_id)
        return None if record is None or record.archived else record

    def holder(self, name: str, value: str) -> str | None:
        """The id of the record that has a unique value, in whatever case."""
        return self._holders.get((name, same(name, value)))

    def put(self, record_id: str, properties: Mapping[str, str]) -> Record:
        """Create or change a record; an empty value clears the property."""
        record = self.records.get(record_id) or Record(record_id, {})
        self.records[record_id] = record
        self._forget(record)
        for name, value in properties.items():
            if not _is_earlier_stage(name, value, record.properties.get(name, "")):
                record.properties[name] = normal(name, value)
        record.properties = {k: v for k, v in record.properties.items() if v}
        record.updated_at, record.changed_s = instant(), monotonic_s()
        for key in self._uniques(record):
            self._holders[key] = record_id
        return record

    def archive(self, record: Record) -> None:
        """Remove a record, as somebody does on the screen."""
        self._forget(record)
        record.archived = True

    def merge(self, winner_id: str, loser_id: str) -> Record:
        """Merge two records: a new one has the winner's values, and answers to both."""
        both = self.records[winner_id], self.records[loser_id]
        for one in both:
            self.archive(one)
        ids = [id_ for one in both for id_ in (one.id, one.value(_MERGED)) if id_]
        properties = {_MERGED: ";".join(ids)}
        if self.type == "contacts":
            emails = [one.value("hs_additional_emails") for one in both]
            others = [*emails, both[1].value("email")]
            properties["hs_additional_emails"] = ";".join(filter(None, others))
            at_ms = int(wall_s() * 1_000)
            vids = ";".join(ids).split(";")
            properties["hs_calculated_merged_vids"] = ";".join(
                f"{one}:{at_ms}" for one in vids
            )
        winner, loser = both
        return self.put(
            self.new_id(), loser.properties | winner.properties | properties
        )

    def _forget(self, record: Record) -> None:
        for key in self._uniques(record):
            self._holders.pop(key, None)

    def _uniques(self, record: Record) -> list[tuple[str, str]]:
        held = [
            (name, same(name, value))
            for name, value in record.properties.items()
            if self.is_unique(name)
        ]
        # One that was merged is known by the ids and the addresses of both.
        for name, known_by in _AFTER_MERGES.items():
            others = record.properties.get(name, "").split(";")
            others = [one.partition(":")[0] for one in others]
            held += [(known_by, same(known_by, one)) for one in others if one]
        return held


class Portal:
    """One account."""

    def __init__(self) -> None:
        self.objects = {type_: Objects(type_) for type_ in TYPE_IDS}
        self.associations: set[tuple[str, str]] = set()
        """Of contacts to companies, by both ids."""
        self.lists: dict[str, StaticList] = {}
        self.owners = [_owner(*one) for one in _OWNERS]
        self._list_ids = count(1)

    def new_list_id(self) -> str:
        """An id that no list has had."""
        return str(next(self._list_ids))

    def move(self, ids: set[str], merged_id: str, type_id: str) -> None:
        """Give a merged record the associations and lists of those it was made of."""

        def moved(one: str, of_type: str) -> str:
            return merged_id if of_type == type_id and one in ids else one

        contacts, companies = TYPE_IDS.values()
        self.associations = {
            (moved(contact, contacts), moved(company, companies))
            for contact, company in self.associations
        }
        for one in self.lists.values():
            one.members = {moved(member, one.type_id) for member in one.members}

    def companies_of(self, contact_id: str) -> list[str]:
        """The companies that a contact is associated with."""
        return sorted(
            company for contact, company in self.associations if contact == contact_id
        )

    def list_named(self, type_id: str, name: str) -> "StaticList | None":
        """The list of a type with a name."""
        return next(
            (
                one
                for one in self.lists.values()
                if one.type_id == type_id and one.name == name
            ),
            None,
        )


@dataclass(slots=True)
class StaticList:
    """A list that records are put into by hand; `members` are their ids."""

    id: str
    type_id: str
    name: str
    processing: str
    created_at: str = field(default_factory=instant)
    members: set[str] = field(default_factory=set)

    def shown(self) -> dict[str, Any]:
        """As it is answered."""
        return {
            "listId": self.id,
            "listVersion": 1,
            "name": self.name,
            "objectTypeId": self.type_id,
            "processingType": self.processing,
            "processingStatus": "COMPLETE",
            "createdAt": self.created_at,
            "updatedAt": self.created_at,
            "size": len(self.members),
        }


def normal(name: str, value: str) -> str:
    """A value as it is kept: addresses and domains in lower case."""
    value = value.strip()
    return value.lower() if name in {"email", "domain"} else value


def _is_earlier_stage(name: str, value: str, has: str) -> bool:
    """Whether a lifecycle stage lies before the one there, which is kept then."""
    is_stage = name == "lifecyclestage" and {value, has} <= {*_STAGES}
    return is_stage and _STAGES.index(value) < _STAGES.index(has)


def same(name: str, value: str) -> str:
    """What two values of a unique property have in common that count as one."""
    return unicodedata.normalize("NFC", normal(name, value)).casefold()


def defined(given: Mapping[str, Any], **more: object) -> dict[str, Any]:
    """A property as it is answered, from what it was made of."""
    options = [
        {"description": "", "displayOrder": place, "hidden": False, **option}
        for place, option in enumerate(given.get("options", ()))
    ]
    return {
        "name": given["name"],
        "label": given["label"],
        "type": given["type"],
        "fieldType": given["fieldType"],
        "groupName": given["groupName"],
        "description": given.get("description", ""),
        "options": options,
        "displayOrder": given.get("displayOrder", -1),
        "hasUniqueValue": given.get("hasUniqueValue", False),
        "hidden": given.get("hidden", False),
        "formField": given.get("formField", False),
        "calculated": False,
        "externalOptions": False,
        "archived": False,
        "hubspotDefined": False,
        "createdAt": instant(),
        "updatedAt": instant(),
        "modificationMetadata": _rights(read_only=False),
        **more,
    }


def is_group(type_: str, name: str) -> bool:
    """Whether properties of a type may be in a group."""
    return _GROUPS[type_] == name


def _rights(*, read_only: bool) -> dict[str, bool]:
    return {
        "archivable": False,
        "readOnlyDefinition": True,
        "readOnlyOptions": read_only,
        "readOnlyValue": read_only,
    }


def _defaults(type_: str) -> list[dict[str, Any]]:
    """What every account has, in HubSpot's own names."""
    texts = {
        "contacts": "firstname lastname jobtitle phone company website",
        "companies": "name domain industry city website phone description",
    }[type_]
    own = [_default(type_, name) for name in texts.split()]
    computed = ["hs_object_id", "createdate", "lastmodifieddate"]
    computed.append(_MERGED)
    owner = {"type": "enumeration", "fieldType": "select", "externalOptions": True}
    own.append(_default(type_, "hubspot_owner_id", **owner))
    if type_ == "contacts":
        own.append(_default(type_, "email", hasUniqueValue=True))
        stages = [{"label": one.title(), "value": one} for one in _STAGES]
        choice = {"type": "enumeration", "fieldType": "radio", "options": stages}
        own.append(_default(type_, "lifecyclestage", **choice))
        computed += ["hs_additional_emails", "hs_calculated_merged_vids"]
        computed.append("hs_email_optout")
    else:
        own.append(_default(type_, "num_associated_contacts", calculated=True))
    rights = _rights(read_only=True)
    own += [_default(type_, name, modificationMetadata=rights) for name in computed]
    return own


def _default(type_: str, name: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - a property's many fields
    given = {
        "name": name,
        "label": name.replace("_", " ").capitalize(),
        "type": "string",
        "fieldType": "text",
        "groupName": _GROUPS[type_],
        "options": more.pop("options", ()),
    }
    return defined(given, **{"hubspotDefined": True, **more})


def _owner(id_: str, email: str, first: str, last: str) -> dict[str, Any]:
    return {
        "id": id_,
        "email": email,
        "type": "PERSON",
        "firstName": first,
        "lastName": last,
        "userId": int(id_) + 1_000,
        "userIdIncludingInactive": int(id_) + 1_000,
        "createdAt": instant(),
        "updatedAt": instant(),
        "archived": False,
    }
