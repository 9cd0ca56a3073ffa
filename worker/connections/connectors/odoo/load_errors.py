"""What the messages of Odoo's `load` mean. Pure."""

from collections.abc import Sequence
from typing import Any

from worker.connections.connectors.connector import Rejected

_CONFLICTS = ("could not serialize access", "deadlock detected", "concurrent update")
_CODES = (
    ("missing required value", "missing_value"),
    ("no matching record found", "unknown_reference"),
    ("vat", "invalid_vat"),
    ("not a valid", "invalid_value"),
    ("does not seem to be", "invalid_value"),
    ("not found in selection", "invalid_option"),
)
"""What a message says somewhere, and what we call that."""


def is_conflict(messages: Sequence[dict[str, Any]]) -> bool:
    """Whether a batch was rolled back for another's sake, and may be loaded again."""
    words = " ".join(str(message.get("message", "")) for message in messages).lower()
    return any(conflict in words for conflict in _CONFLICTS)


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
