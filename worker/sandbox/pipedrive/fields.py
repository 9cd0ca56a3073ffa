"""The fields of a Pipedrive account, of every type, and which values each takes.

Version 2 of the API coerces nothing: a number in quotes is no number.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from typing import Any

Field = dict[str, Any]

_CODE_LENGTH = 40
_ADDRESS = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_TIME = re.compile(r"\d\d:\d\d(:\d\d)?")
_CURRENCY = re.compile(r"[A-Z]{3}")
_VISIBLE = ({"id": 1, "label": "Owner"}, {"id": 3, "label": "Entire company"})

_PLACE = frozenset(
    {
        "value",
        "formatted_address",
        "subpremise",
        "street_number",
        "route",
        "sublocality",
        "locality",
        "admin_area_level_1",
        "admin_area_level_2",
        "country",
        "postal_code",
    }
)
"""The parts of an address; all but the first are the map's."""
_OWN = (
    ("name", "varchar"),
    ("owner_id", "user"),
    ("visible_to", "visible_to"),
    ("label_ids", "set"),
)
WRITABLE: Mapping[str, tuple[tuple[str, str], ...]] = {
    "persons": (
        *_OWN,
        ("org_id", "org"),
        ("emails", "varchar"),
        ("phones", "phone"),
        ("marketing_status", "varchar"),
        ("job_title", "varchar"),
    ),
    "organizations": (*_OWN, ("address", "address")),
}
"""Parameters of a record beside its custom fields, by name and type."""
_COMPUTED = (
    ("id", "int"),
    ("add_time", "date"),
    ("update_time", "date"),
    ("open_deals_count", "int"),
    ("won_deals_count", "int"),
    ("activities_count", "int"),
    ("next_activity_id", "activity"),
    ("last_activity_id", "activity"),
)
_SAID = {"job_title": True, "Score": False}
"""Fields that say themselves whether they may be written."""
_OPTIONAL = {
    *("marketing_status", "open_deals_count", "won_deals_count"),
    *("activities_count", "next_activity_id", "last_activity_id"),
}
"""Fields that an answer has where it was asked to include them."""
_CUSTOM = (
    ("Code", "varchar"),
    ("Stage", "enum"),
    ("Interests", "set"),
    ("Budget", "monetary"),
    ("Seats", "double"),
    ("Founded", "date"),
    ("Site", "address"),
    ("Opens", "time"),
    ("Hours", "timerange"),
    ("Season", "daterange"),
    ("Score", "double"),
)
"""What somebody has made there before."""


def code_of(name: str) -> str:
    """The code of a custom field that was there before."""
    return hashlib.sha256(name.encode()).hexdigest()[:_CODE_LENGTH]


def described(name: str, code: str, type_: str, *, is_custom: bool) -> Field:
    """A field as its list shows it."""
    options = [{"id": 1, "label": "Lead"}, {"id": 2, "label": "Customer"}]
    if type_ == "visible_to":
        options = [dict(one) for one in _VISIBLE]
    return {
        "field_name": name,
        "field_code": code,
        "field_type": type_,
        "options": options if type_ in {"enum", "set", "visible_to"} else None,
        "is_custom_field": is_custom,
        "is_optional_response_field": code in _OPTIONAL,
    }


def fields_of(type_: str) -> list[Field]:
    """The fields that persons or organizations have to begin with."""
    own = ((name, name, of, False) for name, of in (*WRITABLE[type_], *_COMPUTED))
    custom = ((name, code_of(name), of, True) for name, of in _CUSTOM)
    return [
        described(name, code, of, is_custom=is_custom)
        | ({"is_writable": _SAID[name]} if name in _SAID else {})
        for name, code, of, is_custom in (*own, *custom)
    ]


def takes(about: Field, value: object) -> bool:
    """Whether a field takes a value; none at all clears it."""
    if value is None:
        return about["field_code"] not in {"name", "emails", "phones"}
    if about["field_code"] in {"emails", "phones"}:
        return _is_list_of_values(value, about["field_code"])
    allowed = [one["id"] for one in about["options"] or ()]
    match about["field_type"]:
        case "enum" | "visible_to":
            return value in allowed
        case "set":
            return isinstance(value, list) and all(one in allowed for one in value)
    return _CHECKS.get(about["field_type"], _is_text)(value)


def why_not(about: Field, value: object) -> str:
    """The refusal of a value that a field does not take."""
    name, type_ = about["field_code"], about["field_type"]
    if about["options"]:
        return f"Parameter '{name}' has an unknown option: {value}"
    return f"Parameter '{name}' is no valid {type_}: {value}"


def _is_list_of_values(value: object, code: str) -> bool:
    pattern = _ADDRESS if code == "emails" else re.compile(r".+")
    return isinstance(value, list) and all(
        isinstance(one, dict) and pattern.fullmatch(str(one.get("value")))
        for one in value
    )


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_date(value: object) -> bool:
    return isinstance(value, str) and _DATE.fullmatch(value) is not None


def _is_time(value: object) -> bool:
    return isinstance(value, str) and _TIME.fullmatch(value) is not None


def _is_currency(value: object) -> bool:
    return isinstance(value, str) and _CURRENCY.fullmatch(value) is not None


def _object(**parts: Callable[[object], bool]) -> Callable[[object], bool]:
    """An object that has these parts and no others."""

    def check(value: object) -> bool:
        return (
            isinstance(value, dict)
            and value.keys() == parts.keys()
            and all(is_right(value[name]) for name, is_right in parts.items())
        )

    return check


def _is_address(value: object) -> bool:
    return (
        isinstance(value, dict)
        and "value" in value
        and value.keys() <= _PLACE
        and all(isinstance(one, str) for one in value.values())
    )


_CHECKS: Mapping[str, Callable[[object], bool]] = {
    "int": lambda value: type(value) is int,
    "user": lambda value: type(value) is int,
    "org": lambda value: type(value) is int,
    "double": _is_number,
    "date": _is_date,
    "address": _is_address,
    "monetary": _object(value=_is_number, currency=_is_currency),
    "time": _object(value=_is_time),
    "timerange": _object(**{"from": _is_time, "until": _is_time}),
    "daterange": _object(**{"from": _is_date, "until": _is_date}),
}
