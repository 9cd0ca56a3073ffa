"""How Pipedrive finds records by a text, and shows many of anything by page."""

import unicodedata
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from aiohttp import web

from worker.sandbox.pipedrive.account import Failed
from worker.sandbox.unspoken import one_of, only

_PAGE_MAX, _PAGE_USUALLY = 500, 100
_TERM_MIN = 2
_FIELDS = {
    "persons": ("name", "email", "phone", "custom_fields"),
    "organizations": ("name", "address", "custom_fields"),
}
"""Where a term is looked for; notes are not known here, so nobody has any."""

Record = Mapping[str, Any]
T = TypeVar("T")


def finder(type_: str, asked: Mapping[str, str]) -> Callable[[Record], bool]:
    """What says whether a search finds a record. Raises `Failed`, and `Unspoken`."""
    term = _compared(asked.get("term", ""))
    is_exact = asked.get("exact_match") == "true"
    if len(term) < (1 if is_exact else _TERM_MIN):
        raise Failed(400, f"term must have {_TERM_MIN} characters or more")
    names = [one for one in asked.get("fields", "").split(",") if one]
    only(dict.fromkeys(names, "asked for"), (*_FIELDS[type_], "notes"))
    organization = asked.get("organization_id")
    if type_ == "organizations":
        one_of(asked, "organization_id")

    def finds(record: Record) -> bool:
        if organization not in {None, str(record.get("org_id"))}:
            return False
        return any(
            term == text if is_exact else term in text
            for name in names or _FIELDS[type_]
            for text in _texts(record, name)
        )

    return finds


def _texts(record: Record, name: str) -> Iterator[str]:
    """What stands in a field, as it is compared."""
    match name:
        case "email" | "phone":
            values = [one["value"] for one in record.get(f"{name}s") or ()]
        case "custom_fields":
            values = list(record["custom_fields"].values())
        case _:
            values = [record.get(name)]
    for value in values:
        shown = value.get("value") if isinstance(value, dict) else value
        if shown is not None:
            yield _compared(shown)


def _compared(value: object) -> str:
    """A text as searches see it: neither case nor how letters are composed counts."""
    return unicodedata.normalize("NFC", str(value).strip()).casefold()


def item_of(record: Record, type_: str) -> dict[str, Any]:
    """A record as a search shows it."""
    custom = [str(one) for one in record["custom_fields"].values() if one is not None]
    item = {
        "id": record["id"],
        "type": type_.removesuffix("s"),
        "name": record.get("name"),
        "custom_fields": custom,
        "notes": [],
    }
    if type_ == "organizations":
        return item | {"address": (record.get("address") or {}).get("value")}
    return item | {
        name: [one["value"] for one in record.get(name) or ()]
        for name in ("emails", "phones")
    }


def paged(request: web.Request, every: list[T]) -> tuple[list[T], str | None]:
    """The page that is asked for, and where the next one begins."""
    start, limit = (
        _number(request, name, usually)
        for name, usually in (("cursor", 0), ("limit", _PAGE_USUALLY))
    )
    if not 1 <= limit <= _PAGE_MAX:
        raise Failed(400, f"limit must be between 1 and {_PAGE_MAX}")
    end = start + limit
    return every[start:end], str(end) if end < len(every) else None


def _number(request: web.Request, name: str, usually: int) -> int:
    given = request.query.get(name) or str(usually)
    if not given.isdecimal():
        raise Failed(400, f"{name} must be a whole number")
    return int(given)
