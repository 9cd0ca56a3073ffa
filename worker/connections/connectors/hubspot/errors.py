"""What HubSpot's errors mean. Pure.

Every field of an error may be missing, says HubSpot. What is wrong with a value stands
in `errors`, or as JSON within the message, or nowhere but in words.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from worker.connections.connectors.connector import Rejected
from worker.connections.connectors.errors import Misconfigured

CONFLICT = "conflict"
NOT_FOUND = "not_found"
UNKNOWN_FIELD = "unknown_field"

# In the words of HubSpot's import errors where these have one.
_CODES = {
    "CONFLICT": CONFLICT,
    "CONFLICTING_UNIQUE_VALUE": CONFLICT,
    "CONTACT_EXISTS": CONFLICT,
    "DUPLICATE_UNIQUE_PROPERTY_VALUE": CONFLICT,
    "OBJECT_ALREADY_EXISTS": CONFLICT,
    "COLUMN_TOO_LARGE": "column_too_large",
    "COULD_NOT_FIND_OWNER": "could_not_find_owner",
    "GDPR_BLACKLISTED_EMAIL": "gdpr_blacklisted_email",
    "INVALID_DATE": "invalid_date",
    "INVALID_DOMAIN": "invalid_domain",
    "INVALID_EMAIL": "invalid_email",
    "INVALID_ENUMERATION_OPTION": "invalid_option",
    "INVALID_FLOAT": "invalid_number",
    "INVALID_INTEGER": "invalid_number",
    "INVALID_LONG": "invalid_number",
    "INVALID_NUMBER": "invalid_number",
    "INVALID_OPTION": "invalid_option",
    "INVALID_OWNER_ID": "could_not_find_owner",
    "LIMIT_EXCEEDED": "limit_exceeded",
    "OBJECT_NOT_FOUND": NOT_FOUND,
    "VALUE_TOO_LONG": "column_too_large",
}
_INVALID = "invalid_value"
# No row can be written by a mapping that names these.
_MAPPING = {"PROPERTY_DOESNT_EXIST", "PROPERTY_DEFINITION_NOT_FOUND", "READ_ONLY_VALUE"}
_PASSING = {
    "CONNECTION_ERROR",
    "DEADLINE_EXCEEDED",
    "INTERNAL_ERROR",
    "INTERNAL_SERVER_ERROR",
    "LOCKED",
    "RATE_LIMIT",
    "RATE_LIMITS",
    "REQUEST_TIMEOUT",
    "SERVER_ERROR",
    "SERVICE_UNAVAILABLE",
    "TIMEOUT",
    "TRANSIENT",
    "TRANSIENT_ERROR",
}
"""Categories, and codes of what is wrong, that say nothing of a row, with whatever
status they come."""
_EXISTING = re.compile(r"Existing ID: (\d+)")
_HOLDER = re.compile(r"\b(\d+) already has that value")
_NOT_UNIQUE = re.compile(r"non-unique \S+ property (\S+)")
_TRACE_ID = "objectWriteTraceId"
_MESSAGE_MAX = 500


class Detail(NamedTuple):
    """One thing that is wrong: HubSpot's code, its words, and which property."""

    code: str
    message: str
    field: str | None


class Refusal(NamedTuple):
    """An error, and whom it concerns as far as it says so.

    `trace_ids` are ours, `ids` those that the rows were sent by.
    """

    rejected: Rejected
    trace_ids: frozenset[str]
    ids: frozenset[str]
    is_passing: bool


def refusal_of(error: Mapping[str, Any]) -> Refusal:
    """What an error says of rows. Raises `Misconfigured` where no row is at fault."""
    details = list(_details(error))
    mapping = misconfigured(error)
    if mapping is not None:
        raise mapping
    category = str(error.get("category") or "")
    codes = (*(detail.code for detail in details), category)
    code = next((_CODES[one] for one in codes if one in _CODES), _INVALID)
    field = next((detail.field for detail in details if detail.field), None)
    context = error.get("context")
    return Refusal(
        Rejected(code=code, message=_message(error, details), field=field),
        trace_ids=_named(context, _TRACE_ID),
        ids=_named(context, "ids"),
        is_passing=is_passing(error),
    )


def is_passing(error: Mapping[str, Any]) -> bool:
    """Whether the same may go in later."""
    told = {str(error.get(name) or "") for name in ("category", "errorType")}
    return bool(_PASSING & {*told, *(detail.code for detail in _details(error))})


def misconfigured(error: Mapping[str, Any]) -> Misconfigured | None:
    """What is wrong with the mapping or with our key, where it is one of these."""
    details = list(_details(error))
    if any(detail.code in _MAPPING for detail in details):
        return Misconfigured(UNKNOWN_FIELD, _message(error, details))
    if _NOT_UNIQUE.search(text_of(error)):
        return Misconfigured(UNKNOWN_FIELD, text_of(error))
    return None


def existing_contact(message: str) -> str | None:
    """The id of the contact that has the e-mail address already."""
    found = _EXISTING.search(message)
    return found[1] if found else None


def holder(message: str) -> str | None:
    """The id of the record that has a unique value already, whichever value."""
    found = _EXISTING.search(message) or _HOLDER.search(message)
    return found[1] if found else None


def text_of(error: Mapping[str, Any]) -> str:
    """The message of an error, and a word where it has none."""
    return str(error.get("message") or "HubSpot gives no reason")[:_MESSAGE_MAX]


def _message(error: Mapping[str, Any], details: Sequence[Detail]) -> str:
    words = list(dict.fromkeys(one.message for one in details if one.message))
    # An address that is taken is told with the id in one of both places.
    if not words or (holder(text_of(error)) and not holder(words[0])):
        return text_of(error)
    return "; ".join(words)[:_MESSAGE_MAX]


def _details(error: Mapping[str, Any]) -> Iterator[Detail]:
    listed = [one for one in _list(error.get("errors")) if isinstance(one, Mapping)]
    for one in listed or _within(str(error.get("message") or "")):
        context = one.get("context")
        names = sorted(_named(context, "propertyName"))
        yield Detail(
            code=str(one.get("code") or one.get("error") or ""),
            message=str(one.get("message") or ""),
            field=names[0] if names else one.get("name") or one.get("in"),
        )


def _within(message: str) -> list[Mapping[str, Any]]:
    """The list that HubSpot puts as JSON behind the words of its message."""
    _, colon, rest = message.partition(": [")
    if not colon:
        return []
    try:
        found, _ = json.JSONDecoder().raw_decode(f"[{rest}")
    except ValueError:
        return []
    return [one for one in found if isinstance(one, Mapping)]


def _named(context: object, name: str) -> frozenset[str]:
    """The values of one word of a context; a single one may stand without its list."""
    given = context.get(name) if isinstance(context, Mapping) else None
    values = given if isinstance(given, list) else [given]
    return frozenset(str(value) for value in values if value is not None)


def _list(given: object) -> list[Any]:
    return given if isinstance(given, list) else []
