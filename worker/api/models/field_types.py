"""What all models share: ids, names, credits, pages of a list, and problems."""

import re
from datetime import UTC
from typing import Annotated, Generic, Literal, TypeVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictInt,
    StrictStr,
)

from worker.infrastructure.ids import ID_LENGTH_MAX, id_problem, trimmed
from worker.licenses.credit_amounts import CREDITS_MAX


def _checked_id(value: str) -> str:
    message = id_problem(value)
    if message is not None:
        raise ValueError(message)
    return value


_NO_CONTROLS = r"^[^\x00-\x1f\x7f-\x9f]+$"

ClientId = Annotated[
    StrictStr,
    Field(min_length=1, max_length=ID_LENGTH_MAX, pattern=_NO_CONTROLS),
    AfterValidator(_checked_id),
]
"""An id that the client chose: 1 to 200 characters without control characters."""

RecordId = Annotated[
    StrictStr,
    Field(min_length=1),
    AfterValidator(lambda value: _checked_id(trimmed(value))),
]
"""The id of a company or a person; the white space around it is no part of it."""

Name = Annotated[
    StrictStr, Field(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f\x7f-\x9f]+$")
]

Credits = Annotated[StrictInt, Field(ge=0, le=CREDITS_MAX)]

_YEARS = range(1, 9990)
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}")


def _as_text(value: object) -> object:
    """A library would take a number, also as text, for the seconds since 1970."""
    if not isinstance(value, str) or not _ISO.match(value):
        message = "must be ISO 8601 with its offset, such as 2026-01-31T00:00:00Z"
        raise ValueError(message)
    return value


def _in_range(value: AwareDatetime) -> AwareDatetime:
    """So that no offset, and no period that begins then, leads out of the calendar."""
    if not _YEARS.start < value.year < _YEARS.stop:
        message = f"must be after {_YEARS.start} and before {_YEARS.stop}"
        raise ValueError(message)
    return value.astimezone(UTC)


Instant = Annotated[AwareDatetime, BeforeValidator(_as_text), AfterValidator(_in_range)]
"""An instant as ISO 8601 with its offset; answers give it in UTC, with a Z."""

Item = Literal["company", "email", "phone"]


class Body(BaseModel):
    """A request's body: an unknown field is refused."""

    model_config = ConfigDict(extra="forbid")


class ErrorItem(BaseModel):
    """One thing that is wrong, by line and field."""

    line: int | None = None
    field: str | None = None
    message: str


class Problem(BaseModel):
    """RFC 9457."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    code: str
    detail: str
    errors: list[ErrorItem] | None = None
    id: str | None = Field(default=None, description="Of `internal_error`: in the log.")


_T = TypeVar("_T")


class Page(BaseModel, Generic[_T]):
    """A part of a list; `next` asks for what follows."""

    items: list[_T]
    next: str | None
