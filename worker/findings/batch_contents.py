"""What a batch holds: its records, and what may be disclosed of their persons."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pricing.claims import KNOWN
from pricing.findings import NOTHING, Finding
from pricing.plans import Item
from storage.findings.findings import Key
from worker.quotes.priced_records import PricedRecord


class Contents(NamedTuple):
    """The records of a batch, and what may be disclosed of their persons."""

    records: Sequence[PricedRecord]
    erased: set[str]
    findings: Mapping[Key, Finding]

    def finding(self, priced: PricedRecord) -> Finding:
        """What was found for a record."""
        return self.findings.get(key_of(priced), NOTHING)


def key_of(priced: PricedRecord) -> Key:
    """What a record's person is looked up by, as it was priced."""
    digest = next(
        (claim.digest for claim in priced.claims if claim.item is not Item.COMPANY),
        KNOWN,
    )
    return Key(priced.record.person_id or "", digest)
