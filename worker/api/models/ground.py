"""What all models share: ids, names, credits, pages of a list, and problems."""

from typing import Annotated, Generic, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictInt, StrictStr

from worker.checks import CREDITS_MAX
from worker.records import ID_LENGTH_MAX, id_problem


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

Name = Annotated[
    StrictStr, Field(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f\x7f-\x9f]+$")
]

Credits = Annotated[StrictInt, Field(ge=0, le=CREDITS_MAX)]

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


_T = TypeVar("_T")


class Page(BaseModel, Generic[_T]):
    """A part of a list; `next` asks for what follows."""

    items: list[_T]
    next: str | None
