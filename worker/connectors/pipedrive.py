"""Pipedrive: organizations and persons, which it cannot upsert.

Our key stands in a custom field that is searched by, and the id map says what a search
does not show yet; whoever creates by a key holds it. A row is a request of its own.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from worker.connectors import (
    Access,
    Existing,
    Field,
    HeldKey,
    Http,
    Keys,
    Kind,
    Link,
    Match,
    Rejected,
    Result,
    Row,
    Wanted,
    Written,
)
from worker.connectors.errors import Misconfigured, Unavailable
from worker.connectors.pipedrive_api import TYPES, PipedriveApi, Record, Refused
from worker.connectors.pipedrive_finding import Finding
from worker.connectors.pipedrive_values import body_of, with_others

KEY_NAME = "Holdfast id"
"""What the custom field for our key is called; its code is Pipedrive's own."""

_NOT_FOUND = 404
_LABELS = "label_ids"
_ALIASES = {"emails": "email", "phones": "phone"}
_READ_ONLY = {"id", "add_time", "update_time", "creator_user_id", "is_deleted"}


class Pipedrive:
    """Writes organizations and persons into one account."""

    batch_max = 100
    owner_field = "owner_id"
    defaults: Mapping[Kind, Mapping[str, str]] = {
        Kind.COMPANY: {"company_name": "name"},
        Kind.PERSON: {"full_name": "name", "email": "email", "phone": "phone"},
    }

    def __init__(
        self, http: Http, access: Access, keys: Keys, wait: Callable[[float], None]
    ) -> None:
        self._api = PipedriveApi(http, access, wait)
        self._finding = Finding(self._api)
        self._keys = keys
        self._described: dict[Kind, list[Record]] = {}

    def test(self) -> None:
        """Ask who we are there."""
        self._api.get("/v1/users/me")

    def prepare(self) -> None:
        """Make the custom field for our key where it is not there yet."""
        for kind in TYPES:
            if self._key(kind) is None:
                with self._keys.held(kind, KEY_NAME):
                    self._make_key(kind)

    def _make_key(self, kind: Kind) -> None:
        """Make the field, unless another worker has made it meanwhile."""
        self._describe(kind, anew=True)
        if self._key(kind) is None:
            wanted = {"field_name": KEY_NAME, "field_type": "varchar"}
            self._make(f"/api/v2/{TYPES[kind].fields}", wanted)
            self._described.pop(kind, None)

    def _make(self, path: str, wanted: object) -> None:
        """Make a field or a label. Raises `Misconfigured` where that is refused."""
        try:
            self._api.ask("POST", path, wanted)
        except Refused as refused:
            words = f"Pipedrive makes none of {wanted}: {refused}"
            raise Misconfigured("unknown_field", words) from refused

    def fields(self, kind: Kind) -> Mapping[str, Field]:
        """The fields of organizations or persons, by code."""
        return {
            field.name: field for field in map(_field, self._describe(kind, anew=True))
        }

    def owner(self, named: str) -> str:
        """An active user's id, by id, e-mail address or name."""
        wanted = named.strip().casefold()
        found = {
            str(user["id"])
            for user in self._api.get("/v1/users").get("data") or ()
            if user.get("active_flag", True)
            and wanted in {str(user.get(n)).casefold() for n in ("id", "email", "name")}
        }
        if len(found) != 1:
            many = "no user" if not found else "several users"
            raise Misconfigured("unknown_owner", f"Pipedrive has {many} {named!r}")
        return found.pop()

    def find(self, kind: Kind, wanted: Sequence[Wanted]) -> Mapping[str, Match]:
        """By their id; what has none by our key, then by address."""
        return self._finding.find(kind, wanted, self._key(kind))

    def write(self, kind: Kind, rows: Sequence[Row]) -> Mapping[str, Result]:
        """Update what has an id of theirs, create the others, each by itself."""
        results: dict[str, Result] = {}
        taken: dict[str, str] = {}
        for row in rows:
            first = row.id
            if row.their_id is not None:
                first = taken.setdefault(row.their_id, row.id)
            if first != row.id:
                message = f"{first} is that record of Pipedrive already"
                results[row.id] = Rejected(code="duplicate", message=message)
                continue
            results[row.id] = self._write(kind, row)
        return results

    def _write(self, kind: Kind, row: Row) -> Result:
        if row.their_id is not None:
            return _told(partial(self._update, kind, row, row.their_id))
        with self._keys.held(kind, row.id) as held:
            return _told(partial(self._write_held, kind, row, held))

    def _write_held(self, kind: Kind, row: Row, held: HeldKey) -> Written:
        """Update what was made by a held key, or make it."""
        their_id = held.their_id or self._left_in_doubt(kind, row, held)
        if their_id is not None:
            try:
                return self._update(kind, row, their_id)
            except Refused as refused:
                # It was remembered, and somebody has deleted it since.
                if refused.status != _NOT_FOUND:
                    raise
        written = self._send("POST", kind, row, "")
        held.made(written.their_id)
        return written

    def _left_in_doubt(self, kind: Kind, row: Row, held: HeldKey) -> str | None:
        """What somebody has made by a key of whom nobody knows how they ended."""
        if not held.in_doubt:
            return None
        one = Wanted(id=row.id, fields={})
        found = self.find(kind, [one]).get(row.id)
        if not isinstance(found, Existing):
            return None
        held.made(found.their_id)
        return found.their_id

    def _update(self, kind: Kind, row: Row, their_id: str) -> Written:
        return self._send("PATCH", kind, row, f"/{their_id}")

    def _send(self, method: str, kind: Kind, row: Row, path: str) -> Written:
        key = self._key(kind)
        if key is None:
            raise Misconfigured("unknown_field", f"the field {KEY_NAME!r} is gone")
        body = body_of(row, key, self._describe(kind))
        if path and body.keys() & {"emails", "phones"}:
            # A list is replaced as a whole: the customer's other entries stay.
            body |= with_others(body, self._api.record(kind, path.strip("/")))
        answer = self._api.ask(method, f"/api/v2/{TYPES[kind].name}{path}", body)
        record = answer.get("data") or {}
        if "id" not in record:
            raise Unavailable("Pipedrive says nothing of what it has written")
        their_id = str(record["id"])
        return Written(
            their_id=their_id,
            created=method == "POST",
            link=self._api.link(kind, their_id),
        )

    def link(self, links: Sequence[Link]) -> Mapping[str, Rejected]:
        """Persons are written with their organization."""
        del links
        return {}

    def tag(self, kind: Kind, their_ids: Sequence[str], tags: Sequence[str]) -> None:
        """Add labels to those that records have, making those that are missing."""
        labels = [self._label(kind, name) for name in tags]
        there = self._api.by_ids(kind, their_ids)
        for their_id, record in there.items():
            has = [int(one) for one in record.get(_LABELS) or ()]
            both = list(dict.fromkeys([*has, *labels]))
            if both != has:
                path = f"/api/v2/{TYPES[kind].name}/{their_id}"
                try:
                    self._api.ask("PATCH", path, {_LABELS: both})
                except Refused as refused:
                    words = f"Pipedrive takes no labels: {refused}"
                    raise Misconfigured("not_found", words) from refused

    def _label(self, kind: Kind, name: str) -> int:
        there = self._label_there(kind, name)
        if there is None:
            with self._keys.held(kind, f"label {name}"):
                there = self._label_there(kind, name, anew=True)
                if there is None:
                    path = f"/api/v2/{TYPES[kind].fields}/{_LABELS}/options"
                    self._make(path, [{"label": name}])
                    there = self._label_there(kind, name, anew=True)
        if there is None:
            raise Misconfigured("not_found", f"Pipedrive makes no label {name!r}")
        return there

    def _label_there(self, kind: Kind, name: str, *, anew: bool = False) -> int | None:
        for field in self._describe(kind, anew=anew):
            if field.get("field_code") == _LABELS:
                for option in field.get("options") or ():
                    if str(option.get("label")).casefold() == name.casefold():
                        return int(option["id"])
        return None

    def _key(self, kind: Kind) -> str | None:
        """The code of the field for our key, where it is there."""
        codes = [
            str(one["field_code"])
            for one in self._describe(kind)
            if one.get("field_name") == KEY_NAME
        ]
        if len(codes) > 1:
            words = f"{TYPES[kind].name} have several fields {KEY_NAME!r}: keep one"
            raise Misconfigured("unknown_field", words)
        return codes[0] if codes else None

    def _describe(self, kind: Kind, *, anew: bool = False) -> list[Record]:
        if anew or kind not in self._described:
            path = f"/api/v2/{TYPES[kind].fields}"
            self._described[kind] = list(self._api.pages(path))
        return self._described[kind]


def _told(write: Callable[[], Written]) -> Result:
    """What came of it: a refusal is an answer, and leaves nothing in doubt."""
    try:
        return write()
    except Refused as refused:
        return refused.rejected


def _field(about: Record) -> Field:
    code = str(about["field_code"])
    name = _ALIASES.get(code, code)
    type_ = str(about.get("field_type") or "")
    return Field(
        name=name,
        label=str(about.get("field_name") or code),
        type=type_,
        required=code == "name",
        read_only=code in _READ_ONLY,
        options=tuple(str(one["label"]) for one in about.get("options") or ()),
        separator="," if type_ == "set" else None,
    )
