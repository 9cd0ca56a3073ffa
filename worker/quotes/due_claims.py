"""What becomes due of a priced record, by how it ended."""

from pricing.claims import KNOWN
from pricing.findings import Finding
from pricing.plans import Item
from pricing.settlement import DueClaim, Result, due_claims
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
            _also(priced, due),
        )
        for due in due_claims(priced.claims, result)
    ]


def _also(priced: PricedRecord, due: DueClaim) -> str | None:
    """The other digest of an id that the directory knew: what it is looked up by.

    Another job may have been quoted, or may be, when the directory did not know it.
    """
    if due.item is Item.COMPANY or due.digest != KNOWN or priced.own == KNOWN:
        return None
    return priced.own
