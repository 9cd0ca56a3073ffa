"""What is in a Salesforce org: accounts, contacts, users and topics."""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import Any

from worker.infrastructure.clock import wall_s

KEY = "Holdfast_Id__c"

_PREFIXES = {"Account": "001", "Contact": "003", "User": "005", "Topic": "0TO"}
_ADDRESS = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+")
_TEXT_MAX = 255
_RATINGS = ("Hot", "Warm", "Cold")
_PERSON_ACCOUNT = "IsPersonAccount"

Values = Mapping[str, Any]


def instant() -> str:
    """Now, as Salesforce writes it."""
    now = datetime.fromtimestamp(wall_s(), UTC)
    return now.isoformat(timespec="milliseconds").replace("+00:00", "+0000")


class Refusal(Exception):
    """Why a row is not written: a code, words, and the fields that are meant."""

    def __init__(self, code: str, message: str, *fields: str, **more: object) -> None:
        self.error: dict[str, Any] = {
            "statusCode": code,
            "message": message,
            "fields": list(fields),
            **more,
        }
        super().__init__(message)


@dataclass(slots=True)
class Record:
    """One record; `master` is what it was merged into.

    One that is not `committed` yet, or that this user may not see, is none to any
    question, and holds its unique values.
    """

    id: str
    type: str
    values: dict[str, Any]
    deleted: bool = False
    master: str | None = None
    committed: bool = True

    def value(self, name: str) -> Any:  # noqa: ANN401 - text, number or truth
        """A field, also those that every record has."""
        own = {"Id": self.id, "IsDeleted": self.deleted, "MasterRecordId": self.master}
        return own[name] if name in own else self.values.get(name)

    def shown(self, names: list[str]) -> dict[str, Any]:
        """As a query answers it."""
        return {"attributes": {"type": self.type}} | {
            name: self.value(name) for name in names
        }


@dataclass(slots=True)
class Org:
    """One org; `troubles` are refusals, by the type of what would be created.

    `crowd` is a trigger that fails all rows of a call of more than so many, with a code
    and words.
    """

    records: dict[str, Record] = field(default_factory=dict)
    troubles: dict[str, str] = field(default_factory=dict)
    crowd: tuple[int, str, str] | None = None
    fields: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    _ids: Iterator[int] = field(default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        self.fields = {"Account": _account(), "Contact": _contact()}
        for email, name in (
            ("ada@ours.example", "Ada Owner"),
            ("bob@ours.example", "Bob Owner"),
        ):
            self.make("User", {"Email": email, "Username": email, "Name": name})

    def alive(self, type_: str) -> Iterator[Record]:
        """The records of a type that are not in the recycle bin."""
        return (
            one
            for one in self.records.values()
            if one.type == type_ and not one.deleted and one.committed
        )

    def get(self, type_: str, record_id: str) -> Record | None:
        """A record that is not in the recycle bin."""
        found = self.records.get(record_id)
        there = found is not None and found.type == type_ and not found.deleted
        return found if there else None

    def by_key(self, type_: str, key: str) -> Record | None:
        """The record that has a value of the external id."""
        return next((one for one in self._holding(type_, key) if one.committed), None)

    def _holding(self, type_: str, key: str) -> Iterator[Record]:
        case = self.fields[type_][KEY]["caseSensitive"]
        for one in self.records.values():
            held = str(one.values.get(KEY) or "")
            both = (unicodedata.normalize("NFC", text.strip()) for text in (held, key))
            first, second = both
            is_it = first == second or (not case and first.lower() == second.lower())
            if held and is_it and one.type == type_ and not one.deleted:
                yield one

    def make(self, type_: str, values: Values) -> Record:
        """A new record, as somebody makes it who may do everything."""
        made = Record(f"{_PREFIXES[type_]}{next(self._ids):012d}AAA", type_, {})
        self.records[made.id] = made
        self.put(made, values)
        return made

    def put(self, record: Record, values: Values) -> None:
        """Change fields; null clears one."""
        every = record.values | {name: _trimmed(one) for name, one in values.items()}
        record.values = {k: v for k, v in every.items() if v is not None and v != ""}

    def write(
        self,
        type_: str,
        values: Values,
        record: Record | None,
        *,
        allow: bool,
        commits: bool = True,
    ) -> tuple[Record, bool]:
        """Create or change a record as the API does; whether it is new.

        Raises `Refusal`. `allow` lets a duplicate in; what is new is seen once it is
        committed.
        """
        self._check(type_, values)
        if record is None:
            self.check_troubles(type_)
            self._check_required(type_, values)
        elif record.values.get(_PERSON_ACCOUNT) and "Name" in values:
            raise _not_writable("Name")
        self._check_unique(type_, values, record)
        if not allow:
            self._check_duplicates(type_, values, record)
        there = record or self.make(type_, {})
        there.committed = there.committed and (record is not None or commits)
        self.put(there, values)
        return there, record is None

    def check_troubles(self, type_: str) -> None:
        """Raise `Refusal` where nobody may create one of these just now."""
        if type_ in self.troubles:
            code = self.troubles[type_]
            raise Refusal(code, code.lower().replace("_", " "))

    def configure(self, type_: str, name: str, about: Values | None) -> None:
        """Make or change a field as an admin does; None hides it from this user."""
        known = self.fields[type_].pop(name, None) or _about(name)
        if about is not None:
            self.fields[type_][name] = {**known, **about}

    def topic(self, values: Values) -> str:
        """A new topic; its id. Raises `Refusal` where there is one of that name."""
        for one in self.alive("Topic"):
            if one.values["Name"].lower() == str(values["Name"]).lower():
                raise Refusal("DUPLICATE_VALUE", f"duplicate value found: {one.id}")
        return self.make("Topic", values).id

    def give(self, values: Values) -> str:
        """Give a record a topic. Raises `Refusal` where it has it, or is not there."""
        there, topic = (
            self.records.get(str(values[name])) for name in ("EntityId", "TopicId")
        )
        if there is None or there.deleted or topic is None:
            raise Refusal("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id")
        topics = there.values.setdefault("Topics", [])
        if topic.values["Name"] in topics:
            raise Refusal("DUPLICATE_VALUE", "duplicate value found: TopicAssignment")
        topics.append(topic.values["Name"])
        return topic.id

    def merge(self, winner_id: str, loser_id: str) -> None:
        """Merge a record into another."""
        loser = self.records[loser_id]
        loser.deleted, loser.master = True, winner_id

    def _check(self, type_: str, values: Values) -> None:
        for name, value in values.items():
            about = self.fields[type_].get(name)
            if about is None:
                raise Refusal(
                    "INVALID_FIELD", f"No such column '{name}' on sobject {type_}", name
                )
            if not about["updateable"]:
                raise _not_writable(name)
            if value is not None:
                _check_value(about, name, str(value))
        account = values.get("AccountId")
        if account is not None and self.get("Account", str(account)) is None:
            raise Refusal(
                "INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id", "AccountId"
            )

    def _check_required(self, type_: str, values: Values) -> None:
        missing = [
            name
            for name, about in self.fields[type_].items()
            if not about["nillable"] and not values.get(name)
        ]
        if missing:
            words = f"Required fields are missing: [{', '.join(missing)}]"
            raise Refusal("REQUIRED_FIELD_MISSING", words, *missing)

    def _check_unique(self, type_: str, values: Values, record: Record | None) -> None:
        key = str(values.get(KEY) or "")
        holder = next(self._holding(type_, key), None) if key else None
        if holder is not None and holder is not record:
            words = f"duplicate value found: {KEY} duplicates value on record with id: "
            raise Refusal("DUPLICATE_VALUE", words + holder.id)

    def _check_duplicates(
        self, type_: str, values: Values, record: Record | None
    ) -> None:
        email = str(values.get("Email") or "").lower()
        if type_ != "Contact" or not email:
            return
        for one in self.alive(type_):
            if one is not record and str(one.values.get("Email")).lower() == email:
                raise Refusal(
                    "DUPLICATES_DETECTED",
                    "Use one of these records?",
                    duplicateResult={
                        "allowSave": True,
                        "matchResults": [
                            {"matchRecords": [{"record": {"Id": one.id}}]}
                        ],
                    },
                )


def _trimmed(value: Any) -> Any:  # noqa: ANN401 - text, number or truth
    """A value as it is kept: a text without the white space around it."""
    return value.strip() if isinstance(value, str) else value


def _not_writable(name: str) -> Refusal:
    words = f"Unable to create/update fields: {name}."
    return Refusal("INVALID_FIELD_FOR_INSERT_UPDATE", words, name)


def _check_value(about: Values, name: str, value: str) -> None:
    if about["type"] == "email" and not _ADDRESS.fullmatch(value):
        raise Refusal(
            "INVALID_EMAIL_ADDRESS", f"{name}: invalid email address: {value}", name
        )
    allowed = [one["value"] for one in about["picklistValues"]]
    if about["restrictedPicklist"] and value not in allowed:
        words = f"{name}: bad value for restricted picklist field: {value}"
        raise Refusal("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", words, name)
    if len(value) > about["length"] > 0:
        words = f"{name}: data value too large (max length={about['length']})"
        raise Refusal("STRING_TOO_LONG", words, name)


def _about(name: str, type_: str = "string", **more: object) -> dict[str, Any]:
    return {
        "name": name,
        "label": name.replace("__c", "").replace("_", " "),
        "type": type_,
        "length": _TEXT_MAX,
        "nillable": True,
        "createable": True,
        "updateable": True,
        "defaultedOnCreate": False,
        "externalId": False,
        "unique": False,
        "caseSensitive": False,
        "restrictedPicklist": False,
        "picklistValues": [],
        **more,
    }


def _all(*fields: dict[str, Any]) -> dict[str, dict[str, Any]]:
    rating = _values(*_RATINGS)
    read_only = {"createable": False, "updateable": False}
    usual = (
        _about("Id", "id", nillable=False, **read_only),
        _about("CreatedDate", "datetime", nillable=True, **read_only),
        _about("OwnerId", "reference", nillable=False, defaultedOnCreate=True),
        _about(KEY, externalId=True, unique=True, caseSensitive=True),
        _about("Rating__c", "picklist", picklistValues=rating, restrictedPicklist=True),
        _about("Size__c", "double"),
    )
    described = {one["name"]: one for one in (*usual, *fields)}
    # Only what is truly asked for is required when a record is made.
    described["Id"]["nillable"] = described["OwnerId"]["nillable"] = True
    return described


def _values(*names: str) -> list[dict[str, Any]]:
    return [{"value": one, "label": one, "active": True} for one in names]


def _account() -> dict[str, dict[str, Any]]:
    return _all(_about("Name", nillable=False), _about("Website", "url"))


def _contact() -> dict[str, dict[str, Any]]:
    return _all(
        _about("FirstName", length=40),
        _about("LastName", length=80, nillable=False),
        _about("Title"),
        _about("LeadSource", "picklist", picklistValues=_values("Web", "Fair")),
        _about("Email", "email"),
        _about("Phone", "phone"),
        _about("AccountId", "reference"),
        _about("HasOptedOutOfEmail", "boolean"),
        _about("DoNotCall", "boolean"),
    )
