"""Redaction: others' words about a record, without what was found for it. Pure.

An unpaid finding appears in no message, so what a CRM says of a value is kept without
the value.
"""

import re

from pricing.findings import Finding

_HIDDEN = "[…]"


_DIGITS_LEAST = 6


def without_findings(message: str, finding: Finding) -> str:
    """A vendor's words without the address and the number that were found."""
    if finding.email:
        message = re.sub(
            re.escape(finding.email), _HIDDEN, message, flags=re.IGNORECASE
        )
    digits = re.sub(r"\D", "", finding.phone or "")
    if len(digits) >= _DIGITS_LEAST:
        spelled = r"\D{0,3}".join(digits)
        message = re.sub(rf"\+?{spelled}", _HIDDEN, message)
    return message
