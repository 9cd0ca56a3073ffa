"""Uploads: files of records that were kept, and how their columns are mapped."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictStr

from worker.api.models.field_types import Body, ClientId, ErrorItem


class ReadFile(BaseModel):
    """What a file was taken for, and what was passed over in it.

    `unread` says in words what could not be read.
    """

    model_config = ConfigDict(extra="allow")

    format: str
    encoding: str | None
    delimiter: str | None
    quote: str | None
    compression: str | None
    sheet: str | None
    sheets: list[str]
    empty_rows: int
    empty_columns: int
    short_rows: int
    unread: list[str]


class DerivedCounts(BaseModel):
    """Of how many records an id was derived, duplicates included.

    `public_suffix_list` is the version of the one that companies' ids depend on.
    """

    companies: int
    persons: int
    public_suffix_list: str | None


class Upload(BaseModel):
    """A file of records that was kept; `problems` are the first that were left out.

    `trimmed` counts the records that had white space around an id, `taken` has the
    field that each column was taken for by a like name.
    """

    id: str
    records: int
    companies: int
    persons: int
    duplicates: int
    trimmed: int
    problems: list[ErrorItem]
    problems_total: int
    read: ReadFile | None
    taken: dict[str, str]
    derived: DerivedCounts


_ColumnName = Annotated[StrictStr, Field(max_length=10_000, pattern=r"^[^\x00]*$")]


class FixedValue(Body):
    """A value that all records have."""

    value: Annotated[StrictStr, Field(max_length=10_000)]


class DerivedId(Body):
    """An id that is derived from a column: a company's by `domain`, else a person's."""

    derive: Literal["domain", "email", "profile_url"]
    column: _ColumnName


FieldSource = _ColumnName | FixedValue | DerivedId | None
"""What a field of ours is: their column, one value, derived from a column, or none."""

_FieldName = Annotated[StrictStr, Field(min_length=1, max_length=1_000)]
FieldSources = Annotated[dict[_FieldName, FieldSource], Field(max_length=1_000)]

_NO_CONTROLS_BUT_TAB = r"^[^\x00-\x08\x0a-\x1f\x7f-\x9f]+$"
"""A tab is a delimiter."""

ReadingWord = Annotated[
    StrictStr, Field(min_length=1, max_length=200, pattern=_NO_CONTROLS_BUT_TAB)
]
"""What is said of how a file is read."""


class ReadingOptions(Body):
    """How a file is read; what is not given is recognised."""

    encoding: ReadingWord | None = None
    delimiter: ReadingWord | None = None
    quote: ReadingWord | None = None
    sheet: ReadingWord | None = None
    skip_bad: StrictBool = False


class UploadColumns(Body):
    """Which column of a file is which field; `template` keeps that by a name."""

    columns: FieldSources
    options: ReadingOptions = ReadingOptions()
    template: ClientId | None = None


_Headers = Annotated[list[_ColumnName], Field(min_length=1, max_length=1_000)]


class NewUploadTemplate(Body):
    """How files are read; it is proposed for those with these `headers`."""

    columns: FieldSources
    options: ReadingOptions = ReadingOptions()
    headers: _Headers | None = None


class UploadTemplate(BaseModel):
    """A way of reading files that a license has named.

    `public_suffix_list` is the version that derived ids go on by; `fingerprint` is what
    files that it is proposed for have in common.
    """

    name: str
    columns: FieldSources
    options: dict[str, Any]
    public_suffix_list: str | None
    fingerprint: str | None


class ColumnGuess(BaseModel):
    """A column of a file: the field that it is guessed to be, why, and how surely.

    `derives` is the way in which an id could be derived from it.
    """

    name: str
    guess: str | None
    why: str | None
    confidence: Literal["high", "medium", "low"] | None
    derives: Literal["domain", "email", "profile_url"] | None


class Dialect(BaseModel):
    """How the cells of a CSV are told apart; null where that is not the question."""

    delimiter: str | None
    quote: str | None


class InspectedUpload(BaseModel):
    """A file that was kept as it came, and what is seen in it.

    `rows` are the first, as texts, in the order of `columns`; `read` and `problems`
    tell of no more than those that were looked at. `proposal` is the
    mapping that the guesses, or the `template` for files like it, come to; `export`
    says whose export it is.
    """

    id: str
    columns: list[ColumnGuess]
    rows: list[list[str]]
    dialect: Dialect
    encoding: str | None
    sheets: list[str]
    export: str | None
    template: str | None
    proposal: FieldSources
    problems: list[ErrorItem]
    read: ReadFile


class UploadProblems(BaseModel):
    """A page of an upload's problems: `kept` of `total` can be had.

    `refused` says that they refused the file; else the lines were left out.
    """

    items: list[ErrorItem]
    next: str | None
    total: int
    kept: int
    refused: bool
