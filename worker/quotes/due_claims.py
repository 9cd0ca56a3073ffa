"""What becomes due of a priced record, by how it ended."""

from pricing.findings import Finding
from pricing.plans import Item
from pricing.settlement import Result, due_claims
from storage.ledger.settlement import Claim
from worker.quotes.priced_records import PricedRecord


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
