"""What becomes due of priced records, by how each ended.

Most records of a batch ended alike: what falls due is decided once for all that had the
same claims and the same result.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from pricing.claims import KNOWN, OWN
from pricing.findings import FoundColumns
from pricing.plans import Item
from pricing.settlement import DueClaim, Result, due_claims
from storage.ledger.claims import ClaimColumns
from worker.quotes.priced_records import PricedRecords


class Due(NamedTuple):
    """Delivered claims to settle, and those of which nothing was sent."""

    claims: ClaimColumns
    unchanged: ClaimColumns


def due(records: PricedRecords, results: Sequence[Result], found: FoundColumns) -> Due:
    """What the results of some records make due; the same result may be of many."""
    alike: dict[tuple[int, int], list[int]] = defaultdict(list)
    for place, key in enumerate(zip(records.claims, map(id, results), strict=True)):
        alike[key].append(place)
    sent, unchanged = _Columns(records, found), _Columns(records, found)
    for (pattern, _), places in alike.items():
        for claim in due_claims(records.patterns[pattern], results[places[0]]):
            (unchanged if claim.unchanged else sent).add(claim, places)
    return Due(sent.claims(), unchanged.claims())


class _Columns:
    """Claims by columns, as they are gathered."""

    def __init__(self, records: PricedRecords, found: FoundColumns) -> None:
        self._records = records
        self._by = {Item.EMAIL: found.email_by, Item.PHONE: found.phone_by}
        self._items: list[str] = []
        self._subjects: list[str] = []
        self._digests: list[str] = []
        self._credits: list[int] = []
        self._also: list[str | None] = []
        self._providers: list[str | None] = []

    def add(self, claim: DueClaim, places: Sequence[int]) -> None:
        """Add one claim of each of the records at these places."""
        count = len(places)
        companies = self._records.company_ids
        self._items += [claim.item.value] * count
        self._credits += [claim.credits] * count
        if claim.item is Item.COMPANY:
            self._subjects += [companies[place] for place in places]
            self._providers += [None] * count
        else:
            persons, by = self._records.person_ids, self._by[claim.item]
            self._subjects += [persons[place] or companies[place] for place in places]
            self._providers += [by[place] for place in places]
        if claim.digest == OWN:
            # Worked out where it is asked for alone.
            owns = self._records.owns
            self._digests += [owns[place] for place in places]
        else:
            self._digests += [claim.digest] * count
        if claim.item is not Item.COMPANY and claim.digest == KNOWN:
            # Another job may have been quoted, or may be, when the directory did not
            # know the id: then it is paid for by what it is looked up by.
            owns = self._records.owns
            self._also += [owns[place] or None for place in places]
        else:
            self._also += [None] * count

    def claims(self) -> ClaimColumns:
        """All that were added."""
        return ClaimColumns(
            items=self._items,
            subjects=self._subjects,
            digests=self._digests,
            credits=self._credits,
            also=self._also,
            providers=self._providers,
        )
