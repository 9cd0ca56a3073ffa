"""Salesforce: accounts and contacts, by an external id field that an admin makes."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

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
from worker.connections.connectors.record_keys import is_other_than
from worker.connections.connectors.salesforce import bulk_api, record_writes, topics
from worker.connections.connectors.salesforce.api import (
    TYPES,
    SalesforceApi,
    is_id,
    literal_of,
)
from worker.connections.connectors.salesforce.record_search import CONSENT, Finding
from worker.connections.connectors.salesforce.record_writes import CALL_MAX, Wait
from worker.connections.connectors.salesforce.rows import KEY, parted

_MULTIPLE = "multipicklist"
_KEY_LENGTH = 255
_KEY_IS = ("externalId", "unique", "caseSensitive", "createable", "updateable")


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
        settings = access.settings
        self._above = min(CALL_MAX, int(settings.get("bulk_above", CALL_MAX)))
        without_flags = str(settings.get("without_consent_flags", "")).lower()
        self._needs_flags = without_flags != "true"

    def test(self) -> None:
        """Ask for the fields of accounts, which whoever may push may see."""
        self._api.describe(Kind.COMPANY)

    def prepare(self) -> None:
        """See that our key can be written; only an admin can make its field.

        And that it shows who does not want to be contacted.
        """
        self._check_flags()
        for kind, type_ in TYPES.items():
            fields = {str(one["name"]): one for one in self._describe(kind)}
            there = fields.get(KEY) or {}
            short = int(there.get("length") or 0) < _KEY_LENGTH
            if short or not all(there.get(name) for name in _KEY_IS):
                raise Misconfigured(
                    "unknown_field",
                    f"{type_.name} needs a text field {KEY} of 255 characters that is "
                    "an external id, unique and case-sensitive, and that this user "
                    "may edit; an admin of the org can make it",
                )

    def fields(self, kind: Kind) -> Mapping[str, Field]:
        """The fields of accounts or contacts."""
        return {str(about["name"]): _field(about) for about in self._describe(kind)}

    def _check_flags(self) -> None:
        """Whoever may not see a flag would push to those who have it.

        Raises `Misconfigured`, unless the connection says that it is meant.
        """
        seen = {str(one["name"]) for one in self._describe(Kind.PERSON)}
        hidden = [name for name in CONSENT if name not in seen]
        if hidden and self._needs_flags:
            raise Misconfigured(
                "forbidden",
                f"this user may not see {' and '.join(hidden)} of Contact, so nobody "
                "knows who is not to be contacted; an admin of the org can show it, or "
                'the setting without_consent_flags of the connection be "true"',
            )

    def owner(self, named: str) -> str:
        """An active user's id, by id, user name, e-mail address or name.

        A user name is one user's; an address may be several's.
        """
        plain = named.strip()
        names = ["Email", "Username", "Name", *(["Id"] if _is_user_id(plain) else [])]
        either = " OR ".join(f"{name} = {literal_of(plain)}" for name in names)
        rows = list(
            self._api.query(
                f"SELECT Id, Username FROM User WHERE IsActive = true AND ({either})"  # noqa: S608 - SOQL, quoted
            )
        )
        exact = [
            row for row in rows if str(row["Username"]).lower() == plain.lower()
        ] or rows
        found = {str(row["Id"]) for row in exact}
        if len(found) != 1:
            many = "no active user" if not found else "several users"
            raise Misconfigured("unknown_owner", f"Salesforce has {many} {named!r}")
        return found.pop()

    def find(self, kind: Kind, wanted: Sequence[Wanted]) -> Mapping[str, Match]:
        """By their id, by our key, then by address or website."""
        known = [str(one["name"]) for one in self._describe(kind)]
        if KEY not in known:
            self.prepare()
        if kind is Kind.PERSON:
            self._check_flags()
        return Finding(self._api, kind, wanted, known).find()

    def write(self, kind: Kind, rows: Sequence[Row]) -> Mapping[str, Result]:
        """Create and update; more than one call takes, by an ingest job.

        So is what is more than the connection's own `bulk_above`.
        """
        given = parted(self._where_they_are(kind, self._with_older(kind, rows)))
        many = len(rows) > self._above
        write = bulk_api.write if many else record_writes.write
        return {**given.twice, **write(self._api, kind, given, self._wait)}

    def _with_older(self, kind: Kind, rows: Sequence[Row]) -> list[Row]:
        """The rows, those with the records that an older version has made by their id.

        A batch that it has left in doubt may be sent again by this one.
        """
        asked = [
            row.id for row in rows if row.their_id is None and is_other_than(row.id)
        ]
        found = self._api.select(kind, ["Id", KEY], KEY, asked) if asked else ()
        there = {str(one[KEY]): str(one["Id"]) for one in found}
        return [
            row._replace(their_id=there[row.id])
            if row.their_id is None and row.id in there
            else row
            for row in rows
        ]

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
            row._replace(company_their_id=None) if row.their_id in placed else row
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
            topics.assign(self._api, name, their_ids)

    def _describe(self, kind: Kind) -> list[Mapping[str, Any]]:
        if kind not in self._known:
            self._known[kind] = self._api.describe(kind)
        return self._known[kind]


def _is_user_id(named: str) -> bool:
    return is_id(named) and named.startswith("005")


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
