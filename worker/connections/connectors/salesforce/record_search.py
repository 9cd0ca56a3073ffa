"""What Salesforce has already: by its id, by our key, then by address or website.

A record that was merged is in the recycle bin and names the one that stayed; that one
may have been merged too.
"""

from collections.abc import Iterable, Mapping, Sequence

from worker.connections.connectors.connector import (
    Ambiguous,
    Existing,
    Kind,
    Match,
    Wanted,
)
from worker.connections.connectors.record_keys import with_plain
from worker.connections.connectors.salesforce.api import (
    TYPES,
    Record,
    SalesforceApi,
    is_id,
    text_of,
)
from worker.connections.connectors.salesforce.rows import KEY

_MERGES_MAX = 5
CONSENT = ("HasOptedOutOfEmail", "DoNotCall")
"""Flags of contacts, either of which says not to contact them."""
_PERSON_ACCOUNT = "IsPersonAccount"
_SHORT_ID = 15
"""What tells ids apart; the three characters that may follow only check these."""
_SPELLINGS = (
    "{}",
    "www.{}",
    "http://{}",
    "https://{}",
    "http://www.{}",
    "https://www.{}",
    "https://{}/",
    "https://www.{}/",
)


class Finding:
    """One question for records of one kind; `known` are the org's fields."""

    def __init__(
        self,
        api: SalesforceApi,
        kind: Kind,
        wanted: Sequence[Wanted],
        known: Iterable[str],
    ) -> None:
        self._api = api
        self._kind = kind
        self._wanted = wanted
        self._names = sorted({name for one in wanted for name in one.fields})
        there = set(known)
        self._no_persons = kind is Kind.COMPANY and _PERSON_ACCOUNT in there
        consent = [name for name in CONSENT if name in there]
        self._select = list(
            dict.fromkeys(
                ["Id", KEY, TYPES[kind].match, *consent]
                + [name for name in self._names if name in there]
            )
        )

    def find(self) -> dict[str, Match]:
        """What there is, by our ids."""
        found: dict[str, Match] = dict(self._by_their_ids())
        found |= self._by_key([one.id for one in self._wanted if one.id not in found])
        left = [one for one in self._wanted if one.id not in found and one.match]
        return found | self._by_match(left)

    def _by_their_ids(self) -> dict[str, Existing]:
        asked = {
            one.id: one.their_id
            for one in self._wanted
            if one.their_id is not None and is_id(one.their_id)
        }
        found: dict[str, Existing] = {}
        for _ in range(_MERGES_MAX):
            if not asked:
                break
            rows = {
                str(row["Id"])[:_SHORT_ID]: row
                for row in self._api.select(
                    self._kind,
                    [*self._select, "IsDeleted", "MasterRecordId"],
                    "Id",
                    list(asked.values()),
                    deleted=True,
                )
            }
            following: dict[str, str] = {}
            for our_id, their_id in asked.items():
                row = rows.get(their_id[:_SHORT_ID])
                if row is None:
                    continue
                if not row["IsDeleted"]:
                    found[our_id] = self._existing(row, has_key=True)
                elif row.get("MasterRecordId"):
                    following[our_id] = str(row["MasterRecordId"])
            asked = following
        return found

    def _by_key(self, ours: Sequence[str]) -> dict[str, Existing]:
        named = with_plain(ours)
        rows = {
            str(row[KEY]): row
            for row in self._api.select(self._kind, self._select, KEY, list(named))
        }
        # What has the key of today goes before what has an id as it is.
        return {
            our_id: self._existing(rows[one], has_key=True)
            for one, our_id in named.items()
            if one in rows
        }

    def _by_match(self, wanted: Sequence[Wanted]) -> dict[str, Match]:
        field = TYPES[self._kind].match
        spelled = {
            spelling: one.id
            for one in wanted
            for spelling in spellings(self._kind, one.match)
        }
        rows: dict[str, list[Record]] = {}
        also = f" AND {KEY} = null"
        if self._no_persons:
            also += f" AND {_PERSON_ACCOUNT} = false"
        there, unclear = self._api.matches(
            self._kind, self._select, field, list(spelled), also=also
        )
        for row in there:
            our_id = spelled.get(text_of(row[field]).strip().lower())
            if our_id is not None:
                rows.setdefault(our_id, []).append(row)
        found: dict[str, Match] = {
            our_id: self._existing(some[0], has_key=False)
            if len(some) == 1
            else Ambiguous(tuple(sorted(str(row["Id"]) for row in some)))
            for our_id, some in rows.items()
        }
        return found | {spelled[one]: match for one, match in unclear.items()}

    def _existing(self, row: Mapping[str, object], *, has_key: bool) -> Existing:
        their_id = str(row["Id"])
        return Existing(
            their_id=their_id,
            fields={name: text_of(row.get(name)) for name in self._names},
            has_key=has_key,
            link=self._api.link(self._kind, their_id),
            do_not_contact=any(row.get(name) for name in CONSENT),
        )


def spellings(kind: Kind, match: str) -> list[str]:
    """The ways in which an address, or a domain as a website, may stand there."""
    plain = match.strip().lower()
    if kind is Kind.PERSON:
        return [plain]
    domain = plain.removeprefix("https://").removeprefix("http://")
    domain = domain.removeprefix("www.").rstrip("/")
    return [one.format(domain) for one in _SPELLINGS]
