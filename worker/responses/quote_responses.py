"""Quotes, and the uploads that they are made of, as clients see them."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from storage.quotes.quotes import StoredQuote
from storage.uploads.templates import Template
from storage.uploads.uploads import StoredUpload
from worker.infrastructure.clock import instant
from worker.responses.response import Answer, of_problem
from worker.uploads.column_guesses import Guess
from worker.uploads.column_mappings import Seen

_NONE_DERIVED = {"companies": 0, "persons": 0, "public_suffix_list": None}


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
        "problems_total": (stored.noticed or {}).get("problems_total", 0),
        **of_notes(stored.noticed),
    }


def of_upload(stored: StoredUpload) -> Answer:
    """An upload whose records are there."""
    return {
        "id": stored.id,
        "records": stored.records,
        "companies": stored.companies,
        "persons": stored.persons,
        "duplicates": stored.duplicates,
        "trimmed": stored.trimmed or 0,
        "problems": [problem._asdict() for problem in stored.problems],
        "problems_total": stored.problems_total,
        **of_notes(stored.noticed),
    }


def of_notes(noticed: Mapping[str, Any] | None) -> Answer:
    """What is told of the file that records came in."""
    noticed = noticed or {}
    return {
        "read": noticed.get("read"),
        "taken": noticed.get("taken", {}),
        "derived": noticed.get("derived", _NONE_DERIVED),
    }


def of_seen(seen: Seen) -> Answer:
    """What is seen in a file."""
    inspection, guesses, template = seen
    noticed = inspection.noticed
    return {
        "columns": [_of_guess(one) for one in guesses.columns],
        "rows": [list(row) for row in inspection.shown],
        "dialect": {"delimiter": noticed.delimiter, "quote": noticed.quote},
        "encoding": noticed.encoding,
        "sheets": list(noticed.sheets),
        "export": guesses.export,
        "template": template.name if template else None,
        "proposal": template.content["columns"] if template else guesses.proposal,
        "problems": [of_problem(problem) for problem in inspection.problems],
        "read": asdict(noticed),
    }


def _of_guess(guess: Guess) -> Answer:
    return {
        "name": guess.name,
        "guess": guess.field,
        "why": guess.why,
        "confidence": guess.confidence.value if guess.confidence else None,
        "derives": guess.derives,
    }


def of_upload_template(template: Template) -> Answer:
    """An upload template."""
    content = template.content
    return {
        "name": template.name,
        "columns": content["columns"],
        "options": content["options"],
        "public_suffix_list": content["public_suffix_list"],
        "fingerprint": template.fingerprint,
    }
