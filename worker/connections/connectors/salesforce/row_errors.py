"""What Salesforce's errors of rows mean: whose fault they are, and if they pass.

A trigger, a flow or a process of the org tells its own failure under a code of its own
(`CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY`, `CANNOT_EXECUTE_FLOW_TRIGGER` and others) and
what it failed of in the message: so the words count whatever the code.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from worker.connections.connectors.connector import Rejected
from worker.connections.connectors.errors import Misconfigured
from worker.connections.connectors.salesforce.rows import KEY

DUPLICATES = "DUPLICATES_DETECTED"
"""A duplicate rule of the org has refused a row."""
DUPLICATE_VALUE = "DUPLICATE_VALUE"
"""A unique field has that value elsewhere already."""

Error = Mapping[str, Any]

_ODD = "UNKNOWN_EXCEPTION"
_PASSING = {
    "UNABLE_TO_LOCK_ROW",
    "SERVER_UNAVAILABLE",
    "ALL_OR_NONE_OPERATION_ROLLED_BACK",
    _ODD,
}
_PASSING_WORDS = re.compile(
    r"UNABLE_TO_LOCK_ROW|unable to obtain exclusive access|SERVER_UNAVAILABLE"
    r"|Record Currently Unavailable|deadlock",
    re.IGNORECASE,
)
_CROWDED = {
    "REQUEST_RUNNING_TOO_LONG",
    "QUERY_TIMEOUT",
    "OPERATION_TOO_LARGE",
    "EXCEEDED_MAX_SIZE_REQUEST",
    "LIMIT_EXCEEDED",
}
_CROWDED_WORDS = re.compile(
    r"LimitException|Too many [a-z ]+: \d+|CPU (time )?limit|heap size too large"
    r"|REQUEST_RUNNING_TOO_LONG|QUERY_TIMEOUT|maximum stack depth"
    r"|exceeded.{0,40}governor limit|maximum duration",
    re.IGNORECASE,
)
"""Limits of one transaction, by the words of Apex ("Execution Governors and Limits")
and of flows."""
_FULL = "STORAGE_LIMIT_EXCEEDED"
_SHARED = {
    "INVALID_FIELD": "unknown_field",
    "INVALID_FIELD_FOR_INSERT_UPDATE": "unknown_field",
    "INSUFFICIENT_ACCESS": "forbidden",
    "INSUFFICIENT_ACCESS_OR_READONLY": "forbidden",
    "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY": "forbidden",
}
"""What may be the fault of one row, and is the connection's where all rows have it."""
_CODES = {
    DUPLICATES: "duplicate",
    DUPLICATE_VALUE: "conflict",
    "DUPLICATE_EXTERNAL_ID": "conflict",
    "INVALID_EMAIL_ADDRESS": "invalid_email",
    "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST": "invalid_option",
    "REQUIRED_FIELD_MISSING": "missing_value",
    "STRING_TOO_LONG": "column_too_large",
    "ENTITY_IS_DELETED": "not_found",
    "INVALID_CROSS_REFERENCE_KEY": "not_found",
    "FIELD_CUSTOM_VALIDATION_EXCEPTION": "validation_rule",
    "JSON_PARSER_ERROR": "invalid_value",
}


def rejected_of(errors: Sequence[Error]) -> Rejected:
    """Why a row was not written, by the first of its errors."""
    first = errors[0] if errors else {}
    code = code_of(first)
    fields = first.get("fields") or ()
    return Rejected(
        code=_CODES.get(code, "invalid_value"),
        message=str(first.get("message") or code or "Salesforce does not say why"),
        field=str(fields[0]) if fields else None,
    )


def is_passing(errors: Sequence[Error]) -> bool:
    """Whether a row was not written for somebody else's sake: it goes in later."""
    return any(
        code_of(error) in _PASSING or _PASSING_WORDS.search(_words(error))
        for error in errors
    )


def is_crowded(errors: Sequence[Error]) -> bool:
    """Whether a limit of one transaction was hit, which fewer rows at once may not."""
    return any(
        code_of(error) in _CROWDED or _CROWDED_WORDS.search(_words(error))
        for error in errors
    )


def is_odd(errors: Sequence[Error]) -> bool:
    """Whether something went wrong inside Salesforce, which mostly passes."""
    return any(code_of(error) == _ODD for error in errors)


def is_taken(errors: Sequence[Error]) -> bool:
    """Whether a row was upserted by another request of ours at the same moment.

    Who loses such a race is told that the key is there, sometimes without its name;
    asked again, it finds the record.
    """
    words = (f"{KEY} duplicates", "<unknown> duplicates")
    return any(
        code_of(error) == DUPLICATE_VALUE
        and any(one in str(error.get("message")) for one in words)
        for error in errors
    )


def check_shared(refused: Mapping[str, Sequence[Error]], rows: int) -> None:
    """Raise `Misconfigured` where not the rows are at fault, of so many in a call."""
    firsts = [errors[0] for errors in refused.values() if errors]
    for error in firsts:
        if code_of(error) == _FULL:
            raise Misconfigured("forbidden", f"Salesforce: {error.get('message')}")
    codes = {_SHARED.get(code_of(error)) for error in firsts}
    if 1 < rows == len(firsts) and None not in codes:
        code = _SHARED[code_of(firsts[0])]
        raise Misconfigured(code, f"Salesforce: {firsts[0].get('message')}")


def _words(error: Error) -> str:
    return str(error.get("message") or "")


def code_of(error: Error) -> str:
    """Salesforce's own code; requests and rows have it by two names."""
    return str(error.get("statusCode") or error.get("errorCode") or "")
