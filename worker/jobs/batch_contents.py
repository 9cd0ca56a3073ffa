"""What a batch holds: who is in it, what was found of them, and what is due."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pricing.findings import NOTHING, Finding
from pricing.plans import Item
from pricing.settlement import Result, due_claims
from storage.findings.findings import Key
from storage.jobs.chunks import TakenChunk
from storage.ledger.settlement import Claim
from worker.findings.lookup_prefetch import LookupPrefetch, key_of
from worker.findings.provider_registry import FindingDeps
from worker.quotes import erased_persons
from worker.quotes.priced_records import PricedRecord, parse


class Contents(NamedTuple):
    """The records of a batch, and what may be disclosed of their persons."""

    records: Sequence[PricedRecord]
    erased: set[str]
    findings: Mapping[Key, Finding]

    def finding(self, priced: PricedRecord) -> Finding:
        """What was found for a record."""
        return self.findings.get(key_of(priced), NOTHING)


def read(
    deps: FindingDeps,
    chunk: TakenChunk,
    prefetch: LookupPrefetch,
    lines: Sequence[bytes],
) -> Contents:
    """A batch's records; of persons who were erased only the ids are left."""
    records = list(parse(list(lines)))
    erased = erased_persons.blocked(deps, chunk.license_id, records)
    records = erased_persons.without(records, erased)
    return Contents(records, erased, prefetch.of(records, erased))


def claims_of(priced: PricedRecord, result: Result, finding: Finding) -> list[Claim]:
    """What a record's end makes due."""
    record = priced.record
    by = {Item.EMAIL: finding.email_by, Item.PHONE: finding.phone_by}
    return [
        Claim(
            due.item,
            record.company_id
            if due.item is Item.COMPANY
            else record.person_id or record.company_id,
            due.digest,
            due.credits,
            due.unchanged,
            by.get(due.item),
        )
        for due in due_claims(priced.claims, result)
    ]
