"""Salesforce: accounts and contacts, by an external id field that an admin makes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from worker.connectors import (
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
    salesforce_bulk,
    salesforce_writing,
)
from worker.connectors.errors import Misconfigured, Unavailable
from worker.connectors.salesforce_api import KEY, TYPES, SalesforceApi, literal_of
from worker.connectors.salesforce_finding import Finding
from worker.connectors.salesforce_writing import CALL_MAX, Wait

_MULTIPLE = "multipicklist"


class Salesforce:
    """Writes accounts and contacts into one org."""

    batch_max = CALL_MAX
    bulk_max = 10_000
    """Rows that an ingest job is worked off by at once."""
    owner_field = "OwnerId"
    defaults: Mapping[Kind, Mapping[str, str]] = {
        Kind.COMPANY: {"company_name": "Name", "company_domain": "Website"},
        Kind.PERSON: {
            "first_name": "FirstName",
            "last_name": "LastName",
            "title": "Title",
            "email": "Email",
            "phone": "Phone",
        },
    }

    def __init__(self, http: Http, access: Access, wait: Wait) -> None:
        self._api = SalesforceApi(http, access)
        self._wait = wait
        self._known: dict[Kind, list[Mapping[str, Any]]] = {}

    def test(self) -> None:
        """Ask for the org's limits."""
        self._api.get("/limits")

    def prepare(self) -> None:
        """See that our key can be written; only an admin can make its field."""
        for kind, type_ in TYPES.items():
            fields = {str(one["name"]): one for one in self._describe(kind)}
            there = fields.get(KEY)
            if there is None or not (there.get("externalId") and there.get("unique")):
                raise Misconfigured(
                    "unknown_field",
                    f"{type_.name} needs a text field {KEY} of 255 characters that is "
                    "an external id, unique and case-sensitive, and that this user "
                    "may edit; an admin of the org can make it",
                )

    def fields(self, kind: Kind) -> Mapping[str, Field]:
        """The fields of accounts or contacts."""
        return {str(about["name"]): _field(about) for about in self._describe(kind)}

    def owner(self, named: str) -> str:
        """An active user's id, by id, e-mail address, user name or name."""
        wanted = literal_of(named.strip())
        names = " OR ".join(
            f"{name} = {wanted}" for name in ("Email", "Username", "Name")
        )
        found = {
            str(row["Id"])
            for row in self._api.query(
                f"SELECT Id FROM User WHERE IsActive = true AND ({names})"  # noqa: S608 - SOQL, quoted
            )
        } or self._by_id(named.strip())
        if len(found) != 1:
            many = "no active user" if not found else "several users"
            raise Misconfigured("unknown_owner", f"Salesforce has {many} {named!r}")
        return found.pop()

    def _by_id(self, named: str) -> set[str]:
        if not (named.isalnum() and named.startswith("005")):
            return set()
        rows = self._api.query(
            f"SELECT Id FROM User WHERE IsActive = true AND Id = {literal_of(named)}"  # noqa: S608 - SOQL, quoted
        )
        return {str(row["Id"]) for row in rows}

    def find(self, kind: Kind, wanted: Sequence[Wanted]) -> Mapping[str, Match]:
        """By their id, by our key, then by address or website."""
        known = [str(one["name"]) for one in self._describe(kind)]
        if KEY not in known:
            self.prepare()
        return Finding(self._api, kind, wanted, known).find()

    def write(self, kind: Kind, rows: Sequence[Row]) -> Mapping[str, Result]:
        """Create and update; more than one call takes, by an ingest job."""
        many = len(rows) > CALL_MAX
        write = salesforce_bulk.write if many else salesforce_writing.write
        return write(self._api, kind, self._where_they_are(kind, rows), self._wait)

    def _where_they_are(self, kind: Kind, rows: Sequence[Row]) -> list[Row]:
        """The rows, those without an account who keep the one they are in."""
        asked = [row.their_id for row in rows if row.their_id and row.keeps_company]
        if kind is not Kind.PERSON or not asked:
            return list(rows)
        placed = {
            str(one["Id"])
            for one in self._api.select(kind, ["Id", "AccountId"], "Id", asked)
            if one["AccountId"]
        }
        return [
            replace(row, company_their_id=None) if row.their_id in placed else row
            for row in rows
        ]

    def link(self, links: Sequence[Link]) -> Mapping[str, Rejected]:
        """Contacts are written with their account."""
        del links
        return {}

    def tag(self, kind: Kind, their_ids: Sequence[str], tags: Sequence[str]) -> None:
        """Assign topics of these names, made where there are none."""
        del kind
        for name in tags:
            topic_id = self._topic(name)
            rows = [
                {"attributes": {"type": "TopicAssignment"}}
                | {"EntityId": their_id, "TopicId": topic_id}
                for their_id in their_ids
            ]
            for start in range(0, len(rows), CALL_MAX):
                batch = {"allOrNone": False, "records": rows[start : start + CALL_MAX]}
                # Whoever has the topic already is refused as a duplicate: that is fine.
                self._api.send("POST", "/composite/sobjects", batch)

    def _topic(self, name: str) -> str:
        for _ in range(2):
            found = self._api.query(
                f"SELECT Id FROM Topic WHERE Name = {literal_of(name)}"  # noqa: S608 - SOQL, quoted
            )
            for row in found:
                return str(row["Id"])
            made = {"allOrNone": False, "records": [_topic_of(name)]}
            self._api.send("POST", "/composite/sobjects", made)
        raise Unavailable(f"Salesforce makes no topic {name!r}")

    def _describe(self, kind: Kind) -> list[Mapping[str, Any]]:
        if kind not in self._known:
            self._known[kind] = self._api.describe(kind)
        return self._known[kind]


def _topic_of(name: str) -> dict[str, Any]:
    return {"attributes": {"type": "Topic"}, "Name": name}


def _field(about: Mapping[str, Any]) -> Field:
    writable = bool(about.get("createable") or about.get("updateable"))
    needed = not about.get("nillable") and not about.get("defaultedOnCreate")
    boolean = about.get("type") == "boolean"
    options = tuple(_options(about))
    return Field(
        name=str(about["name"]),
        label=str(about.get("label") or about["name"]),
        type=str(about.get("type") or ""),
        required=bool(about.get("createable")) and needed and not boolean,
        read_only=not writable,
        options=options,
        separator=";" if about.get("type") == _MULTIPLE else None,
        is_open=bool(options) and not about.get("restrictedPicklist"),
    )


def _options(about: Mapping[str, Any]) -> Iterator[str]:
    """The values of a picklist; one that is not restricted takes others too."""
    for one in about.get("picklistValues") or ():
        if one.get("active", True):
            yield str(one["value"])
