"""Lists: a limit, and a cursor that says after what the next page begins."""

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar

from fastapi import Query

from worker.infrastructure.errors import bad
from worker.responses.response import Answer

_T = TypeVar("_T")

Limit = Annotated[int, Query(ge=1, le=500, description="Items of a page.")]
Cursor = Annotated[
    str | None, Query(max_length=1000, description="The `next` of the page before.")
]
LIMIT = 100

_BIGINT_MAX = (1 << 63) - 1


def encode(key: object) -> str:
    """A cursor that stands for a key."""
    return base64.urlsafe_b64encode(str(key).encode()).decode().rstrip("=")


def decode(cursor: str) -> str:
    """The key that a cursor stands for. Raises `BadInput`."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        key = base64.b64decode(padded, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise bad("cursor", "is no cursor of this list") from error
    if encode(key) != cursor or "\0" in key:
        raise bad("cursor", "is no cursor of this list")
    return key


def decode_number(cursor: str | None, default: int) -> int:
    """A number that a cursor stands for. Raises `BadInput`."""
    if cursor is None:
        return default
    key = decode(cursor)
    if not key.isascii() or not key.isdigit() or int(key) > _BIGINT_MAX:
        raise bad("cursor", "is no cursor of this list")
    return int(key)


def page(
    rows: Sequence[_T],
    limit: int,
    answer: Callable[[_T], Answer],
    key: Callable[[_T], Any],
) -> Answer:
    """A page of rows, of which one more than `limit` was asked for."""
    shown = rows[:limit]
    more = len(rows) > limit
    return {
        "items": [answer(row) for row in shown],
        "next": encode(key(shown[-1])) if more else None,
    }
