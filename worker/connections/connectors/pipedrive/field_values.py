"""Values as Pipedrive has them, by the types of their fields, and as texts. Pure.

It takes nothing for something else: a number is a number, an option its id, money and
an address are objects.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from typing import Any

from worker.connections.connectors.connector import Rejected, Row
from worker.connections.connectors.record_keys import key_of
from worker.connections.connectors.value_comparison import difference

_LISTS = {"email": "emails", "phone": "phones"}
_TEXTS = {"varchar", "varchar_auto", "text", "phone", "date"}
_IDS = {"int", "user", "org", "people", "visible_to"}
TAKEN_TYPES = frozenset(
    {*_TEXTS, *_IDS, "double", "monetary", "set", "enum", "address"}
)
"""Types of custom fields that one text can fill; times and ranges are none of them."""
_MONEY = re.compile(r"(?P<amount>\S+?)\s*(?P<currency>[A-Z]{3})?")
_RANGES = ("from", "until")

About = Mapping[str, Any]
"""What Pipedrive says of a field."""


def body_of(
    row: Row, key: str, fields: Sequence[About], currency: Callable[[], str]
) -> dict[str, Any]:
    """What is sent of a row, with our key and its organization.

    `currency` is asked for where an amount of money comes without one.
    """
    known = {str(one["field_code"]): one for one in fields}
    body: dict[str, Any] = {}
    custom: dict[str, Any] = {key: key_of(row.id)}
    for name, value in row.fields.items():
        if name in _LISTS:
            entry = {"value": value, "primary": True, "label": "work"}
            body[_LISTS[name]] = [entry] if value else []
            continue
        about = known.get(name, {})
        place = custom if about.get("is_custom_field") else body
        place[name] = _typed(value, about, currency)
    if row.company_their_id is not None:
        body["org_id"] = int(row.company_their_id)
    return body | {"custom_fields": custom}


def not_taken(
    row: Row, body: Mapping[str, Any], record: Mapping[str, Any]
) -> Rejected | None:
    """The field of which an answer has another value than was sent, if there is one."""
    sent = {**body, **body["custom_fields"]}
    has = {**record, **(record.get("custom_fields") or {})}
    lists = [name for name in _LISTS if name in row.fields and _LISTS[name] in has]
    plain = [name for name in row.fields if name not in _LISTS and name in has]
    return difference(
        {name: row.fields[name] for name in lists}
        | {name: _as_text(sent.get(name)) for name in plain},
        {name: text_of(record, name, {}) for name in lists}
        | {name: _as_text(has[name]) for name in plain},
    )


def _as_text(value: object) -> str:
    match value:
        case None:
            return ""
        case {"value": amount}:
            return str(amount)
        case list():
            return ";".join(sorted(str(one) for one in value))
    return str(value)


def with_others(
    body: Mapping[str, Any], record: Mapping[str, Any]
) -> dict[str, list[Mapping[str, Any]]]:
    """The lists of a body with what else a record has in them, its primary replaced."""
    return {
        name: [
            *body[name],
            *(
                {**one, "primary": False}
                for one in record.get(name) or ()
                if not one.get("primary")
                and one.get("value") not in {mine["value"] for mine in body[name]}
            ),
        ]
        for name in _LISTS.values()
        if name in body
    }


def _typed(value: str, about: About, currency: Callable[[], str]) -> object:
    """A value by the type of its field; what does not fit is Pipedrive's to refuse."""
    type_, options = about.get("field_type"), about.get("options") or ()
    if not value:
        return None
    if type_ == "set":
        return [_option(one.strip(), options) for one in value.split(",")]
    if type_ == "address":
        return {"value": value}
    if type_ == "monetary":
        return _money(value, currency)
    if type_ == "double":
        return _number(value)
    if options:
        return _option(value, options)
    if type_ in _IDS and value.isdecimal():
        return int(value)
    return value


def _number(value: str) -> float | str:
    try:
        number = float(value)
    except ValueError:
        return value
    return number if isfinite(number) else value


def _money(value: str, currency: Callable[[], str]) -> object:
    """An amount, and its currency behind it or the usual one."""
    match = _MONEY.fullmatch(value.strip())
    amount = _number(match["amount"]) if match else value
    if match is None or isinstance(amount, str):
        return value
    return {"value": amount, "currency": match["currency"] or currency()}


def _option(value: str, options: Sequence[About]) -> object:
    """The id of an option, by its label or the id itself."""
    for option in options:
        if value in {str(option.get("label")), str(option.get("id"))}:
            return int(option["id"]) if str(option["id"]).isdecimal() else option["id"]
    return value


def text_of(record: Mapping[str, Any], name: str, about: About) -> str:
    """A field of a record as the text that would be sent, empty where it has none."""
    if name in _LISTS:
        entries = record.get(_LISTS[name]) or ()
        primary = [one for one in entries if one.get("primary")]
        values = [str(one.get("value") or "") for one in (*primary, *entries)]
        return values[0] if values else ""
    custom = record.get("custom_fields") or {}
    value = record.get(name, custom.get(name))
    options = {one["id"]: str(one["label"]) for one in about.get("options") or ()}
    return _text(value, options)


def _text(value: object, options: Mapping[object, str]) -> str:
    match value:
        case None | "":
            return ""
        case list():
            return ",".join(_text(one, options) for one in value)
        case dict():
            return _text_of_object(value)
        case bool():
            return str(value).lower()
        case float() if value.is_integer():
            return str(int(value))
        case int() | str() if value in options:
            return options[value]
    return str(value)


def _text_of_object(value: Mapping[str, Any]) -> str:
    """Money with its currency, a range with its ends, of all else what is shown."""
    shown = _text(value.get("value"), {})
    if shown and value.get("currency"):
        return f"{shown} {value['currency']}"
    ends = [_text(value.get(end), {}) for end in _RANGES]
    return shown or "/".join(end for end in ends if end)
