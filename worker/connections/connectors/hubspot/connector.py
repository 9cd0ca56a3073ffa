"""HubSpot: contacts and companies, by a property of ours that no two records share.

Companies have no property of HubSpot's own that is unique, and a contact's address is
its own business: so `holdfast_id` is made on both, and all that is written is written
by it. The search is never asked whether something is there that was just written.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from worker.connections.connectors.connector import (
    Access,
    Field,
    Http,
    Kind,
    Link,
    Match,
    Rejected,
    Result,
    Row,
    Wanted,
)
from worker.connections.connectors.errors import Misconfigured
from worker.connections.connectors.hubspot import record_search, record_writes
from worker.connections.connectors.hubspot.api import (
    KEY,
    TYPES,
    HubSpotApi,
    Refused,
    results_of,
)

_GROUPS = {Kind.COMPANY: "companyinformation", Kind.PERSON: "contactinformation"}
_NOT_FOUND, _CONFLICT = 404, 409


class HubSpot:
    """Writes contacts and companies into one account."""

    batch_max = 100
    owner_field = "hubspot_owner_id"
    defaults: Mapping[Kind, Mapping[str, str]] = {
        Kind.COMPANY: {"company_name": "name", "company_domain": "domain"},
        Kind.PERSON: {
            "first_name": "firstname",
            "last_name": "lastname",
            "title": "jobtitle",
            "email": "email",
            "phone": "phone",
        },
    }

    def __init__(self, http: Http, access: Access) -> None:
        self._api = HubSpotApi(http, access)
        self._lists: dict[tuple[Kind, str], str] = {}

    def test(self) -> None:
        """Ask whose account it is."""
        self._api.details()

    def prepare(self) -> None:
        """Make the property for our key where it is not there yet."""
        for kind, group in _GROUPS.items():
            if not self._has_key(kind):
                self._make_key(kind, group)

    def fields(self, kind: Kind) -> Mapping[str, Field]:
        """The properties of contacts or companies."""
        return {
            str(about["name"]): _field(about)
            for about in self._properties(kind)
            if not about.get("archived")
        }

    def owner(self, named: str) -> str:
        """An owner's id, by e-mail address, id, or first and last name."""
        wanted = named.strip().casefold()
        found = {
            str(owner["id"])
            for owner in self._api.pages("/owners")
            if wanted in _names(owner)
        }
        if len(found) != 1:
            many = "no owner" if not found else "several owners"
            raise Misconfigured("unknown_owner", f"HubSpot has {many} {named!r}")
        return found.pop()

    def find(self, kind: Kind, wanted: Sequence[Wanted]) -> Mapping[str, Match]:
        """By their id, by our key, then by address or domain."""
        self._api.look_around()
        return record_search.find(self._api, kind, wanted)

    def write(self, kind: Kind, rows: Sequence[Row]) -> Mapping[str, Result]:
        """Create and update; a contact that has the address already is adopted."""
        self._api.look_around()
        return record_writes.write(self._api, kind, rows)

    def link(self, links: Sequence[Link]) -> Mapping[str, Rejected]:
        """Associate contacts with their companies."""
        return record_writes.link(self._api, links)

    def tag(self, kind: Kind, their_ids: Sequence[str], tags: Sequence[str]) -> None:
        """Add records to static lists of these names."""
        for name in dict.fromkeys(tags) if their_ids else ():
            if self._add(kind, name, their_ids):
                continue
            # Somebody has removed the list since we looked.
            del self._lists[kind, name]
            if not self._add(kind, name, their_ids):
                raise Misconfigured("not_found", f"the list {name!r} does not stay")

    def _add(self, kind: Kind, name: str, their_ids: Sequence[str]) -> bool:
        """Add records to a list; False where it is not there any more."""
        path = f"/lists/{self._list(kind, name)}/memberships/add"
        try:
            self._api.send("PUT", path, list(their_ids))
        except Refused as refused:
            if refused.status != _NOT_FOUND:
                raise _no_list(name, refused) from refused
            return False
        return True

    def _list(self, kind: Kind, name: str) -> str:
        """A list's id; it is made where there is none, by us or by somebody else."""
        if (kind, name) not in self._lists:
            found = self._list_there(kind, name) or self._make_list(kind, name)
            self._lists[kind, name] = found
        return self._lists[kind, name]

    def _list_there(self, kind: Kind, name: str) -> str | None:
        path = f"/lists/object-type-id/{TYPES[kind].id}/name/{quote(name, safe='')}"
        try:
            return _list_id(self._api.send("GET", path))
        except Refused as refused:
            if refused.status != _NOT_FOUND:
                raise _no_list(name, refused) from refused
            return None

    def _make_list(self, kind: Kind, name: str) -> str:
        wanted = {
            "name": name,
            "objectTypeId": TYPES[kind].id,
            "processingType": "MANUAL",
        }
        try:
            return _list_id(self._api.send("POST", "/lists", wanted))
        except Refused as refused:
            there = self._list_there(kind, name)
            if there is None:
                raise _no_list(name, refused) from refused
            return there

    def _properties(self, kind: Kind) -> list[Mapping[str, Any]]:
        return results_of(self._api.get(f"/properties/{TYPES[kind].name}"))

    def _has_key(self, kind: Kind) -> bool:
        there = next(
            (one for one in self._properties(kind) if one["name"] == KEY), None
        )
        if there is not None and not there.get("hasUniqueValue"):
            raise Misconfigured(
                "unknown_field",
                f"the property {KEY} of {TYPES[kind].name} does not ask for unique "
                "values; remove it, and it is made as it must be",
            )
        return there is not None

    def _make_key(self, kind: Kind, group: str) -> None:
        wanted = {
            "name": KEY,
            "label": "Holdfast id",
            "description": "What Holdfast knows this record by. Do not change it.",
            "groupName": group,
            "type": "string",
            "fieldType": "text",
            "hasUniqueValue": True,
        }
        try:
            self._api.send("POST", f"/properties/{TYPES[kind].name}", wanted)
        except Refused as refused:
            # Another worker may have made it just now.
            if refused.status != _CONFLICT:
                raise Misconfigured("unknown_field", str(refused)) from refused


def _field(about: Mapping[str, Any]) -> Field:
    rights = about.get("modificationMetadata") or {}
    options = about.get("options") or ()
    is_several = about.get("fieldType") == "checkbox"
    return Field(
        name=str(about["name"]),
        label=str(about.get("label") or about["name"]),
        type=str(about.get("type") or ""),
        read_only=bool(rights.get("readOnlyValue") or about.get("calculated")),
        options=tuple(str(one["value"]) for one in options),
        separator=";" if is_several else None,
        appends=is_several,
    )


def _names(owner: Mapping[str, Any]) -> Iterator[str]:
    """All that an owner may be named by."""
    first_and_last = (str(owner.get(name) or "") for name in ("firstName", "lastName"))
    for given in (owner.get("id"), owner.get("email"), " ".join(first_and_last)):
        if name := str(given or "").strip():
            yield name.casefold()


def _list_id(body: Mapping[str, Any]) -> str:
    return str(body["list"]["listId"])


def _no_list(name: str, refused: Refused) -> Misconfigured:
    return Misconfigured("not_found", f"there is no static list {name!r}: {refused}")
