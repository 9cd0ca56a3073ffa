"""Quotes as clients see them."""

from storage.quotes.quotes import StoredQuote
from worker.infrastructure.clock import instant
from worker.responses.response import Answer


def of_quote(stored: StoredQuote) -> Answer:
    """A quote, line by line."""
    quote = stored.quote
    return {
        "id": stored.id,
        "max_credits": quote.max_credits,
        "lines": [
            {
                "item": line.item.value,
                "count": line.count,
                "free": line.free,
                "unit_credits": line.unit_credits,
                "credits": line.credits,
            }
            for line in quote.lines
        ],
        "records": quote.records,
        "companies": quote.companies,
        "persons": quote.persons,
        "duplicates": quote.duplicates,
        "trimmed": quote.trimmed,
        "excluded": quote.excluded,
        "changed": [
            {"record": record, "item": item.value, "subject": subject}
            for record, item, subject in quote.changed
        ],
        "available": quote.available,
        "affordable": quote.affordable,
        "fits_records": quote.fits_records,
        "expires_at": instant(stored.expires_at),
    }
