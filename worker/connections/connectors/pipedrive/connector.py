"""Pipedrive: organizations and persons, which it cannot upsert.

Our key stands in a custom field that is searched by, and the id map says what a search
does not show yet; whoever creates by a key holds it. A row is a request of its own.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from worker.connections.connectors.connector import (
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
from worker.connections.connectors.errors import Misconfigured, Unavailable
from worker.connections.connectors.pipedrive.account_fields import (
    KEY_NAME,
    LABELS,
    AccountFields,
)
from worker.connections.connectors.pipedrive.api import (
    GONE,
    TYPES,
    PipedriveApi,
    Refused,
)
from worker.connections.connectors.pipedrive.field_values import (
    body_of,
    not_taken,
    with_others,
)
from worker.connections.connectors.pipedrive.record_search import Finding


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
        self._fields = AccountFields(self._api, keys)
        self._finding = Finding(self._api, self._fields)
        self._keys = keys

    def test(self) -> None:
        """Ask who we are there."""
        self._api.get("/v1/users/me")

    def prepare(self) -> None:
        """Make the custom field for our key where it is not there yet."""
        for kind in TYPES:
            self._fields.make_key(kind)

    def fields(self, kind: Kind) -> Mapping[str, Field]:
        """The fields of organizations or persons, by code."""
        return self._fields.offered(kind)

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
        return self._finding.find(kind, wanted)

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
                if refused.status not in GONE:
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
        key = self._fields.key(kind)
        if key is None:
            raise Misconfigured("unknown_field", f"the field {KEY_NAME!r} is gone")
        body = body_of(row, key, self._fields.all(kind), self._api.currency)
        if path and (row.keeps_company or body.keys() & {"emails", "phones"}):
            there = self._api.record(kind, path.strip("/"))
            # A list is replaced as a whole: the customer's other entries stay.
            body |= with_others(body, there)
            if row.keeps_company and there.get("org_id"):
                body.pop("org_id", None)
        answer = self._api.ask(method, f"/api/v2/{TYPES[kind].name}{path}", body)
        record = answer.get("data") or {}
        if "id" not in record:
            raise Unavailable("Pipedrive says nothing of what it has written")
        their_id = str(record["id"])
        return Written(
            their_id=their_id,
            created=method == "POST",
            link=self._api.link(kind, their_id),
            incomplete=not_taken(row, body, record),
        )

    def link(self, links: Sequence[Link]) -> Mapping[str, Rejected]:
        """Persons are written with their organization."""
        del links
        return {}

    def tag(self, kind: Kind, their_ids: Sequence[str], tags: Sequence[str]) -> None:
        """Add labels to those that records have, making those that are missing."""
        labels = [self._fields.label(kind, name) for name in tags]
        there = self._api.by_ids(kind, their_ids)
        for their_id, record in there.items():
            has = [int(one) for one in record.get(LABELS) or ()]
            both = list(dict.fromkeys([*has, *labels]))
            if both != has:
                path = f"/api/v2/{TYPES[kind].name}/{their_id}"
                try:
                    self._api.ask("PATCH", path, {LABELS: both})
                except Refused as refused:
                    if refused.status not in GONE:
                        raise refused.misconfigured from refused


def _told(write: Callable[[], Written]) -> Result:
    """What came of it: a refusal is an answer, and leaves nothing in doubt."""
    try:
        return write()
    except Refused as refused:
        return refused.rejected
