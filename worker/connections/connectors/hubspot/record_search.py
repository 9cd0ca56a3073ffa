"""What HubSpot has already: by its id, by our key, then by address or domain.

The search sees a new record late, and is asked for domains alone, which nothing else
finds companies by. Records that were merged answer to the ids and addresses of both.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from worker.connections.connectors.bisection import Unclear, at_most, looked_up
from worker.connections.connectors.connector import (
    Ambiguous,
    Existing,
    Kind,
    Match,
    Wanted,
)
from worker.connections.connectors.errors import Misconfigured, Unavailable
from worker.connections.connectors.hubspot.api import (
    KEY,
    TYPES,
    HubSpotApi,
    Refused,
    after_of,
    errors_of,
    results_of,
)
from worker.connections.connectors.hubspot.errors import (
    NOT_FOUND,
    UNKNOWN_FIELD,
    misconfigured,
    refusal_of,
)
from worker.connections.connectors.record_keys import is_other_than, key_of

_TRIES = 3
_SEARCHED_MAX = 200
_DOMAINS_MAX = 100
_MATCHES_MAX = 1_000
"""Records that are read for domains; HubSpot's search answers with 10,000 at most."""
_OPTED_OUT = "hs_email_optout"
_MERGED_IDS, _MERGED_EMAILS = "hs_merged_object_ids", "hs_additional_emails"
_MERGED_CONTACTS = "hs_calculated_merged_vids"
"""Of contacts: ids and when they were merged, `id:ms;id:ms`."""
_ABSENT = {400, 404}

Record = Mapping[str, Any]


def find(api: HubSpotApi, kind: Kind, wanted: Sequence[Wanted]) -> dict[str, Match]:
    """What there is of those wanted, by our ids."""
    names = sorted({name for one in wanted for name in one.fields})
    finding = _Finding(api, kind, names)
    found: dict[str, Match] = dict(finding.by_their_ids(wanted))
    found |= finding.by_key([one for one in wanted if one.id not in found])
    left = [one for one in wanted if one.id not in found and one.match]
    return found | finding.by_match(left)


def addresses_of(record: Record) -> set[str]:
    """All e-mail addresses of a contact, in lower case."""
    others = value_of(record, _MERGED_EMAILS).split(";")
    return {one.strip().lower() for one in (value_of(record, "email"), *others) if one}


def value_of(record: Record, name: str) -> str:
    """The value of a property, empty where it has none."""
    properties = record.get("properties")
    value = properties.get(name) if isinstance(properties, Mapping) else None
    return "" if value is None else str(value)


def read(
    api: HubSpotApi,
    kind: Kind,
    ids: Sequence[str],
    names: Sequence[str] = (),
    id_property: str | None = None,
) -> dict[str, Record]:
    """Records by what they were asked by, which is in lower case for addresses.

    Where HubSpot keeps silent of ids of its own, or answers with records that name none
    of them, each is asked for alone: else they would be taken for deleted. Raises
    `Unavailable` where it cannot read them. Keys and addresses are taken for not there
    then, which does no harm: what is written is written by our key.
    """
    found: dict[str, Record] = {}
    left = list(dict.fromkeys(ids))
    failed = False
    for _ in range(_TRIES):
        if not left:
            break
        question = _question(kind, left, names, id_property)
        path = f"/objects/{TYPES[kind].name}/batch/read"
        try:
            body = api.send("POST", path, question)
        except Refused as refused:
            if (mapping := misconfigured(refused.error)) is not None:
                raise mapping from refused
            middle = len(left) // 2
            for half in (left[:middle], left[middle:]) if middle else ():
                found |= read(api, kind, half, names, id_property)
            left = left if not middle else []
            break
        for record in results_of(body):
            found |= dict.fromkeys(_known_by(record, id_property), record)
        missing, failed = _missing(body, left)
        # A key in another case was answered, and is another's.
        folded = {one.casefold() for one in found} if id_property else set()
        left = [
            one
            for one in left
            if one not in found and one not in missing and one.casefold() not in folded
        ]
    if left and failed:
        raise Unavailable(f"HubSpot cannot read {len(left)} records")
    if id_property is None:
        found |= _one_by_one(api, kind, left, names)
    return {one: found[one] for one in ids if one in found}


def keyed(
    api: HubSpotApi, kind: Kind, ours: Iterable[str], names: Sequence[str] = ()
) -> dict[str, Record]:
    """Records that have our keys, by our ids."""
    keys = {our_id: key(our_id) for our_id in ours}
    records = read(api, kind, list(keys.values()), names, KEY)
    found = {i: records[one] for i, one in keys.items() if one in records}
    left = [our_id for our_id in keys if our_id not in found]
    return found | plainly_keyed(api, kind, left, names)


def plainly_keyed(
    api: HubSpotApi, kind: Kind, ours: Sequence[str], names: Sequence[str] = ()
) -> dict[str, Record]:
    """Records that an older version has given an id as it is, to the letter."""
    older = [our_id for our_id in ours if is_other_than(our_id, folds_case=True)]
    return read(api, kind, older, names, KEY) if older else {}


def key(our_id: str) -> str:
    """The key of an id; that case tells unique values apart, HubSpot nowhere says."""
    return key_of(our_id, folds_case=True)


def _one_by_one(
    api: HubSpotApi, kind: Kind, ids: Sequence[str], names: Sequence[str]
) -> dict[str, Record]:
    """Records that were merged, by the ids that they had: each is asked for alone."""
    properties = quote(",".join(_properties(kind, names)), safe=",")
    found: dict[str, Record] = {}
    for one in ids:
        path = f"/objects/{TYPES[kind].name}/{one}?properties={properties}"
        try:
            found[one] = api.send("GET", path)
        except Refused as refused:
            # An id that HubSpot can make nothing of is the id of nothing there.
            if refused.status not in _ABSENT:
                raise Unavailable(f"HubSpot cannot read {one}: {refused}") from refused
    return found


class _Finding:
    """One question for records, and the properties that are wanted of each."""

    def __init__(self, api: HubSpotApi, kind: Kind, names: Sequence[str]) -> None:
        self._api = api
        self._kind = kind
        self._names = names

    def by_their_ids(self, wanted: Iterable[Wanted]) -> dict[str, Existing]:
        ids = {one.id: one.their_id for one in wanted if one.their_id is not None}
        # HubSpot's ids are numbers; one that is none refuses the whole batch.
        asked = [their_id for their_id in ids.values() if their_id.isdecimal()]
        records = read(self._api, self._kind, asked, self._names)
        return {
            our_id: self._existing(records[their_id], has_key=True)
            for our_id, their_id in ids.items()
            if their_id in records
        }

    def by_key(self, wanted: Iterable[Wanted]) -> dict[str, Existing]:
        asked = [one.id for one in wanted]
        try:
            records = keyed(self._api, self._kind, asked, self._names)
        except Misconfigured as error:
            if error.code != UNKNOWN_FIELD:
                raise
            # Nothing has our key before `prepare` has made the property.
            return {}
        return {
            our_id: self._existing(record, has_key=True)
            for our_id, record in records.items()
        }

    def by_match(self, wanted: Sequence[Wanted]) -> dict[str, Match]:
        matches = {one.id: normal(self._kind, one.match) for one in wanted}
        asked = sorted({match for match in matches.values() if match})
        unclear: Mapping[str, Match] = {}
        if self._kind is Kind.COMPANY:
            records, unclear = self._by_domain(asked)
        else:
            there = read(self._api, self._kind, asked, self._names, "email")
            records = {match: [record] for match, record in there.items()}
        found = {
            our_id: self._match(free)
            for our_id, match in matches.items()
            for free in ([one for one in records.get(match, ()) if not _is_ours(one)],)
            if free
        }
        untold = {i: unclear[match] for i, match in matches.items() if match in unclear}
        return found | untold

    def _by_domain(
        self, domains: Sequence[str]
    ) -> tuple[dict[str, list[Record]], dict[str, Ambiguous]]:
        """Companies by domain, and the domains of which HubSpot does not tell them."""
        found: dict[str, list[Record]] = {}
        unclear: dict[str, Ambiguous] = {}
        for start in range(0, len(domains), _DOMAINS_MAX):
            some = domains[start : start + _DOMAINS_MAX]
            records, untold = looked_up(
                some, lambda asked: at_most(self._search(asked), _MATCHES_MAX)
            )
            unclear |= untold
            for record in records:
                domain = normal(self._kind, value_of(record, "domain"))
                found.setdefault(domain, []).append(record)
        return found, unclear

    def _search(self, domains: Sequence[str]) -> Iterator[Record]:
        filter_ = {"propertyName": "domain", "operator": "IN", "values": domains}
        question: dict[str, Any] = {
            "filterGroups": [{"filters": [filter_]}],
            "properties": _properties(self._kind, self._names),
            "limit": _SEARCHED_MAX,
        }
        after: str | None = None
        while True:
            asked = question if after is None else {**question, "after": after}
            try:
                body = self._api.search("/objects/companies/search", asked)
            except Refused as refused:
                if (mapping := misconfigured(refused.error)) is not None:
                    raise mapping from refused
                raise Unclear(f"HubSpot: {refused}") from refused
            yield from results_of(body)
            after = after_of(body)
            if after is None:
                return

    def _match(self, records: Sequence[Record]) -> Match:
        ids = tuple(sorted({str(record["id"]) for record in records}, key=int))
        if len(ids) > 1:
            return Ambiguous(ids)
        return self._existing(records[0], has_key=False)

    def _existing(self, record: Record, *, has_key: bool) -> Existing:
        their_id = str(record["id"])
        return Existing(
            their_id=their_id,
            fields={name: value_of(record, name) for name in self._names},
            has_key=has_key,
            link=self._api.screen(self._kind, their_id),
            do_not_contact=value_of(record, _OPTED_OUT) == "true",
        )


def _is_ours(record: Record) -> bool:
    """Whether it has a key of ours: then it is another's, or was found by it."""
    return value_of(record, KEY) != ""


def normal(kind: Kind, match: str) -> str:
    """A domain or an address as HubSpot keeps it."""
    plain = match.strip().lower()
    return plain.removeprefix("www.") if kind is Kind.COMPANY else plain


def _properties(kind: Kind, names: Iterable[str]) -> list[str]:
    known_by = {KEY, TYPES[kind].match, _MERGED_IDS}
    if kind is Kind.PERSON:
        known_by |= {_MERGED_CONTACTS, _MERGED_EMAILS, _OPTED_OUT}
    return sorted({*names, *known_by})


def _question(
    kind: Kind, ids: Sequence[str], names: Iterable[str], id_property: str | None
) -> dict[str, Any]:
    question: dict[str, Any] = {
        "inputs": [{"id": one} for one in ids],
        "properties": _properties(kind, names),
        "propertiesWithHistory": [],
    }
    return question if id_property is None else question | {"idProperty": id_property}


def _known_by(record: Record, id_property: str | None) -> set[str]:
    """All that a record can have been asked by."""
    if id_property is None:
        merged = value_of(record, _MERGED_IDS).split(";")
        merged += value_of(record, _MERGED_CONTACTS).split(";")
        ids = (one.partition(":")[0].strip() for one in merged)
        return {str(record.get("id")), *ids} - {""}
    if id_property == KEY:
        return {value_of(record, KEY)}
    return addresses_of(record)


def _missing(body: Mapping[str, Any], asked: Sequence[str]) -> tuple[set[str], bool]:
    """The ids that are said not to be there, and whether others failed."""
    missing: set[str] = set()
    failed = False
    for error in errors_of(body):
        refusal = refusal_of(error)
        if refusal.rejected.code == NOT_FOUND:
            missing |= refusal.ids or set(asked)
        else:
            failed = True
    return missing, failed
