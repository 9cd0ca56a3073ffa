"""What a batch holds: its records, and what may be disclosed of their persons."""

from collections.abc import Sequence
from dataclasses import dataclass

from pricing.claims import KNOWN
from pricing.findings import Finding, FoundColumns
from pricing.plans import Item
from storage.findings.findings import Key
from worker.quotes.priced_records import PricedRecord, PricedRecords


@dataclass(frozen=True, slots=True)
class Contents:
    """The records of a batch, and what may be disclosed of each one's person."""

    records: PricedRecords
    erased: set[str]
    found: FoundColumns

    def each(self) -> list[tuple[PricedRecord, Finding]]:
        """The records one by one, each with what was found for it."""
        return [
            (priced, self.found.at(place))
            for place, priced in enumerate(self.records.each())
        ]


def keys_of(records: PricedRecords) -> Sequence[Key]:
    """What the records' persons are looked up by, as they were priced."""
    return [key_of(priced) for priced in records.each()]


def key_of(priced: PricedRecord) -> Key:
    """What a record's person is looked up by, as it was priced."""
    digest = next(
        (claim.digest for claim in priced.claims if claim.item is not Item.COMPANY),
        KNOWN,
    )
    return Key(priced.record.person_id or "", digest)
