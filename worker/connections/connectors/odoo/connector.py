"""Odoo 19: its JSON-2 API, with `load` and external ids.

`load` takes a batch as a whole or not at all, creates what has no external id yet and
updates what has, so that the same again changes nothing. What it says of single rows
cannot be relied on (the first row is blamed for others' faults, and after ten errors it
says no more): the culprit is found by halving.
"""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from worker.connections.connectors.bisection import (
    Poisoned,
    Unclear,
    at_most,
    bisected,
    looked_up,
)
from worker.connections.connectors.connector import (
    Access,
    Ambiguous,
    Existing,
    Field,
    Http,
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
from worker.connections.connectors.odoo.api import MODULE, OdooApi, Refused, external_id
from worker.connections.connectors.odoo.load_errors import is_conflict, rejected_of

_PARTNER = "res.partner"
_DATA = "ir.model.data"
_CATEGORY = "res.partner.category"
_MATCHES_MAX = 1_000
"""Records that are read for addresses or websites."""
_CONFLICTS_MAX = 8
"""Each conflict means that somebody else's batch went through."""
_BLACKLISTED = ("is_blacklisted", "phone_blacklisted")
"""Fields that say not to write to, or not to call a partner; each is an app's own."""
_SPELLINGS = (
    "http://{}",
    "https://{}",
    "http://www.{}",
    "https://www.{}",
    "{}",
    "www.{}",
)


class Odoo:
    """Writes partners: companies, and persons below them."""

    batch_max = 100
    owner_field = "user_id/.id"
    defaults: Mapping[Kind, Mapping[str, str]] = {
        Kind.COMPANY: {"company_name": "name", "company_domain": "website"},
        Kind.PERSON: {
            "full_name": "name",
            "title": "function",
            "email": "email",
            "phone": "phone",
        },
    }

    def __init__(self, http: Http, access: Access) -> None:
        self._api = OdooApi(http, access)
        self._blacklists: list[str] | None = None

    def test(self) -> None:
        """Ask who we are there."""
        self._api.call("res.users", "context_get")

    def prepare(self) -> None:
        """External ids need no field of their own."""

    def fields(self, kind: Kind) -> Mapping[str, Field]:
        """The fields of a partner; companies and persons have the same."""
        del kind
        wanted = ["string", "type", "required", "readonly", "selection"]
        found = self._api.call(_PARTNER, "fields_get", attributes=wanted)
        needed = [name for name, about in found.items() if about.get("required")]
        usual = self._api.call(_PARTNER, "default_get", fields=needed)
        return {
            name: Field(
                name=name,
                label=str(about.get("string", name)),
                type=str(about.get("type", "")),
                # A constraint asks for the name, unless an address has a type.
                required=name == "name" or (name in needed and name not in usual),
                read_only=bool(about.get("readonly")),
                options=tuple(str(value) for value, _ in about.get("selection") or ()),
            )
            for name, about in found.items()
        }

    def owner(self, named: str) -> str:
        """A user's id, by id, login, e-mail address or name."""
        either: list[Any] = [
            "|",
            "|",
            ["login", "=ilike", named],
            ["email", "=ilike", named],
            ["name", "=", named],
        ]
        domain = [["id", "=", int(named)]] if named.isdecimal() else either
        found = self._api.read("res.users", domain, ["id"])
        if len(found) != 1:
            many = "no user" if not found else "several users"
            raise Misconfigured("unknown_owner", f"Odoo has {many} {named!r}")
        return str(found[0]["id"])

    def find(self, kind: Kind, wanted: Sequence[Wanted]) -> Mapping[str, Match]:
        """By external id, by the id map, then by address or domain."""
        names = sorted({name for one in wanted for name in one.fields})
        keyed = self._keyed(kind, [one.id for one in wanted])
        ids = {
            one.id: keyed.get(one.id) or int(one.their_id or 0)
            for one in wanted
            if one.id in keyed or (one.their_id or "").isdecimal()
        }
        rows = self._partners([["id", "in", sorted(set(ids.values()))]], names)
        by_id = {row["id"]: row for row in rows}
        found: dict[str, Match] = {
            our_id: self._existing(kind, by_id[id_], names, has_key=True)
            for our_id, id_ in ids.items()
            if id_ in by_id
        }
        left = [one for one in wanted if one.id not in found and one.match]
        return {**self._matched(kind, left, names), **found}

    def write(self, kind: Kind, rows: Sequence[Row]) -> Mapping[str, Result]:
        """Load rows, those with the same fields together: a blank would clear one."""
        self._adopt(kind, rows)
        results: dict[str, Result] = {}
        ordered = sorted(self._where_they_are(rows), key=_shape)
        for _, some in groupby(ordered, key=_shape):
            results |= bisected(list(some), lambda batch: self._load(kind, batch))
        return results

    def _where_they_are(self, rows: Sequence[Row]) -> list[Row]:
        """The rows, those without a company who keep the one they are in."""
        asked = [int(row.their_id or 0) for row in rows if row.keeps_company]
        domain = [["id", "in", asked], ["parent_id", "!=", False]]
        there = self._api.read(_PARTNER, domain, ["id"]) if any(asked) else []
        placed = {str(one["id"]) for one in there}
        return [
            row._replace(company_their_id=None) if row.their_id in placed else row
            for row in rows
        ]

    def link(self, links: Sequence[Link]) -> Mapping[str, Rejected]:
        """Persons are written with their company."""
        del links
        return {}

    def tag(self, kind: Kind, their_ids: Sequence[str], tags: Sequence[str]) -> None:
        """Add tags; those that a partner has stay."""
        del kind
        there = {
            row["name"]: row["id"]
            for row in self._api.read(_CATEGORY, [["name", "in", list(tags)]], ["name"])
        }
        for name in tags:
            if name not in there:
                made = self._api.call(_CATEGORY, "create", vals_list=[{"name": name}])
                there[name] = made[0]
        self._api.call(
            _PARTNER,
            "write",
            ids=[int(id_) for id_ in their_ids],
            vals={"category_id": [[4, there[name], 0] for name in tags]},
        )

    def _keyed(self, kind: Kind, ours: Sequence[str]) -> dict[str, int]:
        """The partners that have our key, by our ids."""
        names = {external_id(kind, our_id): our_id for our_id in ours}
        domain = [
            ["module", "=", MODULE],
            ["name", "in", list(names)],
            ["model", "=", _PARTNER],
        ]
        rows = self._api.read(_DATA, domain, ["name", "res_id"])
        return {names[row["name"]]: row["res_id"] for row in rows}

    def _ours(self, ids: Sequence[int]) -> set[int]:
        """Which partners have a key of ours, whosever."""
        if not ids:
            return set()
        domain = [
            ["module", "=", MODULE],
            ["model", "=", _PARTNER],
            ["res_id", "in", list(ids)],
        ]
        return {row["res_id"] for row in self._api.read(_DATA, domain, ["res_id"])}

    def _partners(
        self,
        domain: list[Any],
        names: Sequence[str],
        *also: str,
        limit: int | None = None,
    ) -> list[dict[str, Any]]:
        bases = sorted({_base(name) for name in names} | {*also, *self._marks()})
        return self._api.read(_PARTNER, domain, bases, limit)

    def _marks(self) -> list[str]:
        """Which of the fields that forbid contact this Odoo has."""
        if self._blacklists is None:
            there = self._api.call(
                _PARTNER,
                "fields_get",
                allfields=list(_BLACKLISTED),
                attributes=["type"],
            )
            self._blacklists = [name for name in _BLACKLISTED if name in there]
        return self._blacklists

    def _matched(
        self, kind: Kind, wanted: Sequence[Wanted], names: Sequence[str]
    ) -> dict[str, Match]:
        """Partners without our key that have somebody's address, or a domain."""
        if not wanted:
            return {}
        field = "website" if kind is Kind.COMPANY else "email_normalized"
        spelled = {
            spelling: one.id for one in wanted for spelling in _spelled(kind, one.match)
        }

        def ask(values: Sequence[str]) -> list[dict[str, Any]]:
            domain = [
                ["is_company", "=", kind is Kind.COMPANY],
                [field, "in", list(values)],
            ]
            try:
                found = self._partners(domain, names, field, limit=_MATCHES_MAX + 1)
            except Refused as refused:
                raise Unclear(str(refused)) from refused
            return at_most(iter(found), _MATCHES_MAX)

        matches: dict[str, list[dict[str, Any]]] = {}
        rows, unclear = looked_up(list(spelled), ask)
        ours = self._ours([row["id"] for row in rows])
        for row in rows:
            if row["id"] in ours:
                continue
            matches.setdefault(spelled.get(row[field], ""), []).append(row)
        told: dict[str, Match] = {
            our_id: self._existing(kind, rows[0], names, has_key=False)
            if len(rows) == 1
            else Ambiguous(tuple(str(row["id"]) for row in rows))
            for our_id, rows in matches.items()
            if our_id
        }
        return told | {spelled[one]: match for one, match in unclear.items()}

    def _existing(
        self,
        kind: Kind,
        row: Mapping[str, Any],
        names: Sequence[str],
        *,
        has_key: bool,
    ) -> Existing:
        return Existing(
            their_id=str(row["id"]),
            fields={name: _text(row.get(_base(name))) for name in names},
            has_key=has_key,
            link=self._api.link(row["id"]),
            # A company's own address says nothing of the persons who work there.
            do_not_contact=kind is Kind.PERSON
            and any(row.get(name) for name in _BLACKLISTED),
        )

    def _adopt(self, kind: Kind, rows: Sequence[Row]) -> None:
        """Give our key to partners that were found without it."""
        given = {row.id: int(row.their_id) for row in rows if row.their_id}
        if not given:
            return
        keyed = self._keyed(kind, list(given))
        vals = [
            {
                "module": MODULE,
                "name": external_id(kind, our_id),
                "model": _PARTNER,
                "res_id": their_id,
            }
            for our_id, their_id in given.items()
            if our_id not in keyed
        ]
        if vals:
            self._api.call(_DATA, "create", vals_list=vals)

    def _load(self, kind: Kind, rows: Sequence[Row]) -> Mapping[str, Result]:
        """Write rows with the same fields; all of them or none. Raises `Poisoned`."""
        names = list(rows[0].fields)
        linked = rows[0].company_their_id is not None
        head = ["id", "is_company", *(["parent_id/.id"] if linked else []), *names]
        before = self._keyed(kind, [row.id for row in rows])
        data = [_line(kind, row, names) for row in rows]
        for _ in range(_CONFLICTS_MAX):
            try:
                answer = self._api.call(_PARTNER, "load", fields=head, data=data)
            except Refused as refused:
                why = [{"type": "error", "message": refused.words}]
                raise Poisoned(rejected_of(why)) from refused
            if not isinstance(answer, dict):
                raise Unavailable("Odoo answered without what became of the rows")
            ids, messages = answer.get("ids"), answer.get("messages") or []
            if ids and len(ids) == len(rows) and all(ids):
                return {
                    row.id: Written(
                        their_id=str(id_),
                        created=row.id not in before,
                        link=self._api.link(id_),
                    )
                    for row, id_ in zip(rows, ids, strict=True)
                }
            if not is_conflict(messages):
                raise Poisoned(rejected_of(messages))
            # It was rolled back; whoever was faster may have created them.
            before = self._keyed(kind, [row.id for row in rows])
        raise Unavailable("Odoo could not serialize access, again and again")


def _shape(row: Row) -> tuple[bool, tuple[str, ...]]:
    return row.company_their_id is not None, tuple(row.fields)


def _line(kind: Kind, row: Row, names: Sequence[str]) -> list[str]:
    line = [f"{MODULE}.{external_id(kind, row.id)}", str(int(kind is Kind.COMPANY))]
    if row.company_their_id is not None:
        line.append(row.company_their_id)
    return [*line, *(row.fields[name] for name in names)]


def _base(name: str) -> str:
    """The field that a path begins with."""
    return name.partition("/")[0]


def _text(value: object) -> str:
    """A value as `load` would be given it; Odoo says false where it is empty."""
    match value:
        case None | False:
            return ""
        case [id_, *_]:
            return str(id_)
    return str(value)


def _spelled(kind: Kind, match: str) -> list[str]:
    """The ways in which an address, or a domain as a website, may stand in Odoo."""
    plain = match.strip().lower()
    if kind is Kind.PERSON:
        return [plain]
    domain = plain.removeprefix("https://").removeprefix("http://")
    domain = domain.removeprefix("www.").rstrip("/")
    spelled = [spelling.format(domain) for spelling in _SPELLINGS]
    return [*spelled, *(f"{one}/" for one in spelled)]
