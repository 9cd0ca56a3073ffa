"""What Pipedrive has already: by its id, by our key, then of persons by address.

A search is the dearest thing to ask, and there may be two for each that is wanted: what
was answered is kept until all of them have been, and not asked again meanwhile.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from worker.connections.connectors.bisection import Unclear
from worker.connections.connectors.connector import (
    Ambiguous,
    Existing,
    Kind,
    Match,
    Wanted,
)
from worker.connections.connectors.pipedrive.account_fields import AccountFields
from worker.connections.connectors.pipedrive.api import PipedriveApi, Record
from worker.connections.connectors.pipedrive.field_values import text_of
from worker.connections.connectors.record_keys import with_plain

_OPT_OUTS = {"unsubscribed", "archived"}
_KEYED, _ADDRESSED = "custom_fields", "email"


class Finding:
    """Looks for what one account has."""

    def __init__(self, api: PipedriveApi, fields: AccountFields) -> None:
        self._api = api
        self._fields = fields
        self._answers: dict[tuple[Kind, str, str], list[str]] = {}

    def find(self, kind: Kind, wanted: Sequence[Wanted]) -> dict[str, Match]:
        """What there is of those wanted, by our ids."""
        key = self._fields.key(kind) or ""
        ids = {one.id: one.their_id for one in wanted if one.their_id is not None}
        there = self._api.by_ids(kind, list(ids.values()))
        for their_id in {*ids.values()} - there.keys():
            record = self._api.left_out(kind, their_id)
            if record is not None:
                there[their_id] = record
        found: dict[str, Match] = {
            our_id: self._existing(kind, there[their_id], wanted, has_key=True)
            for our_id, their_id in ids.items()
            if their_id in there
        }
        left = [one for one in wanted if one.id not in found]
        found |= self._searched(kind, left, wanted, key)
        self._answers.clear()
        return found

    def _searched(
        self, kind: Kind, left: Sequence[Wanted], wanted: Sequence[Wanted], key: str
    ) -> dict[str, Match]:
        """What a search shows: by our key, and of persons by address."""
        by_key: dict[str, list[str]] = {}
        by_match: dict[str, list[str]] = {}
        found: dict[str, Match] = {}
        for one in left:
            try:
                if key:
                    by_key[one.id] = self._keyed(kind, one.id)
                if kind is Kind.PERSON and one.match and not by_key.get(one.id):
                    by_match[one.id] = self._search(kind, _ADDRESSED, one.match)
            except Unclear as unclear:
                found[one.id] = unclear.match
        ids = [i for some in (*by_key.values(), *by_match.values()) for i in some]
        there = self._api.by_ids(kind, ids) if ids else {}
        for one in left:
            keyed = [i for i in by_key.get(one.id, ()) if i in there]
            keyed = [i for i in keyed if _key_of(there[i], key) in with_plain([one.id])]
            if keyed:
                first = there[min(keyed, key=int)]
                found[one.id] = self._existing(kind, first, wanted, has_key=True)
                continue
            free = [i for i in by_match.get(one.id, ()) if i in there]
            free = [i for i in free if _is_meant(there[i], key, one.match)]
            if len(free) > 1:
                found[one.id] = Ambiguous(tuple(sorted(free, key=int)))
            elif free:
                match = self._existing(kind, there[free[0]], wanted, has_key=False)
                found[one.id] = match
        return found

    def _keyed(self, kind: Kind, our_id: str) -> list[str]:
        """Records that may have one of the keys of an id."""
        terms = with_plain([our_id])
        return [i for term in terms for i in self._search(kind, _KEYED, term)]

    def _search(self, kind: Kind, field: str, term: str) -> list[str]:
        asked = (kind, field, term)
        if asked not in self._answers:
            self._answers[asked] = self._api.search(kind, field, term)
        return self._answers[asked]

    def _existing(
        self, kind: Kind, record: Record, wanted: Sequence[Wanted], *, has_key: bool
    ) -> Existing:
        names = {name for one in wanted for name in one.fields}
        about = {str(one["field_code"]): one for one in self._fields.all(kind)}
        their_id = str(record["id"])
        return Existing(
            their_id=their_id,
            fields={name: text_of(record, name, about.get(name, {})) for name in names},
            has_key=has_key,
            link=self._api.link(kind, their_id),
            do_not_contact=record.get("marketing_status") in _OPT_OUTS,
        )


def _key_of(record: Record, key: str) -> str:
    custom: Mapping[str, Any] = record.get("custom_fields") or {}
    return str(custom.get(key) or "")


def _is_meant(record: Record, key: str, address: str) -> bool:
    """Whether a record has this address, and no key of ours."""
    given = {str(one.get("value")).lower() for one in record.get("emails") or ()}
    return not _key_of(record, key) and address.strip().lower() in given
