"""What the messages of Odoo's `load` mean. Pure."""

import re
from collections.abc import Sequence
from typing import Any

from worker.connections.connectors.connector import Rejected

_PASSING = re.compile(
    r"could not serialize access|concurrent(ly)? (update|access|modif)"
    r"|deadlock detected|could not obtain lock|lock ?timeout|LockNotAvailable"
    r"|SerializationFailure|DeadlockDetected|QueryCanceled|statement timeout"
    r"|current transaction is aborted|locked by another"
    r"|another (user|process|transaction) is",
    re.IGNORECASE,
)
"""Words of PostgreSQL, of psycopg and of Odoo for a transaction that lost against
another one."""
_CODES = (
    ("missing required value", "missing_value"),
    ("no matching record found", "unknown_reference"),
    ("vat", "invalid_vat"),
    ("not a valid", "invalid_value"),
    ("does not seem to be", "invalid_value"),
    ("not found in selection", "invalid_option"),
)
"""What a message says somewhere, and what we call that."""


def is_passing(words: str) -> bool:
    """Whether something was rolled back for another's sake, and may be done again."""
    return _PASSING.search(words) is not None


def is_conflict(messages: Sequence[dict[str, Any]]) -> bool:
    """Whether a batch was rolled back for another's sake, and may be loaded again."""
    return any(is_passing(str(message.get("message", ""))) for message in messages)


def rejected_of(messages: Sequence[dict[str, Any]]) -> Rejected:
    """Why a row was not loaded; true of it where it was loaded alone."""
    errors = [one for one in messages if one.get("type") == "error"] or list(messages)
    if not errors:
        return Rejected(code="rejected", message="Odoo does not say why")
    first = next((one for one in errors if one.get("field")), errors[0])
    words = str(first.get("message", "")).strip()
    low = words.lower()
    code = next((code for part, code in _CODES if part in low), "rejected")
    field = first.get("field")
    return Rejected(code=code, message=words, field=str(field) if field else None)
