"""Values as Pipedrive has them: lists, numbers, options by their ids. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from worker.connectors import Row

_LISTS = {"email": "emails", "phone": "phones"}
_NUMBERS = {"double", "monetary"}
_OWN = {"name", "owner_id", "org_id", "job_title", "website", "visible_to"}

Described = Sequence[Mapping[str, Any]]


def body_of(row: Row, key: str, fields: Described) -> dict[str, Any]:
    """What is sent of a row, with our key and its organization."""
    known = {str(one["field_code"]): one for one in fields}
    body: dict[str, Any] = {}
    custom: dict[str, Any] = {key: row.id}
    for name, value in row.fields.items():
        if name in _LISTS:
            entry = {"value": value, "primary": True, "label": "work"}
            body[_LISTS[name]] = [entry] if value else []
            continue
        about = known.get(name, {})
        place = custom if about.get("is_custom_field") and name not in _OWN else body
        place[name] = _typed(value, about)
    if row.company_their_id is not None:
        body["org_id"] = int(row.company_their_id)
    return body | {"custom_fields": custom}


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


def _typed(value: str, about: Mapping[str, Any]) -> object:
    """A value by the type of its field; what does not fit is Pipedrive's to refuse."""
    type_ = about.get("field_type")
    if not value:
        return None
    options = about.get("options") or ()
    if options and type_ == "set":
        return [_option(one.strip(), options) for one in value.split(",")]
    if options:
        return _option(value, options)
    if type_ in {"user", "org", "people", "int"} and value.isdecimal():
        return int(value)
    if type_ in _NUMBERS:
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _option(value: str, options: Sequence[Mapping[str, Any]]) -> object:
    """The id of an option, by its label or the id itself."""
    for option in options:
        if value in {str(option.get("label")), str(option.get("id"))}:
            return option["id"]
    return value


def text_of(record: Mapping[str, Any], name: str) -> str:
    """A field of a record as text, empty where it has none."""
    if name in _LISTS:
        entries = record.get(_LISTS[name]) or ()
        return str(entries[0].get("value") or "") if entries else ""
    custom = record.get("custom_fields") or {}
    value = record.get(name, custom.get(name))
    return "" if value is None else str(value)
