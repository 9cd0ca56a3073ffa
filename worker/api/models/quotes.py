"""Quotes: what is asked for, and the most that it can cost."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, StrictBool, StrictInt, StrictStr

from worker.api.models.field_types import Body, ClientId, Item, Name
from worker.api.models.uploads import DerivedCounts, ReadFile

EmailLevel = Literal["verified", "accept_all"]
OnlyWith = Literal["email", "verified_email"]


FieldName = Annotated[StrictStr, Field(min_length=1, max_length=1_000)]


class Column(Body):
    """A column of the file: a field of the input, email, email_status or phone."""

    field: FieldName
    heading: Name | None = None


class FileOptions(Body):
    """What a file looks like: `profile` is for CSV, `split_records` makes a ZIP.

    `text_columns` are fields whose values no spreadsheet retypes, in the profiles for
    Excel; without them they are ids and phones. `nulls` says what JSON Lines and
    Parquet have where nothing is there: an empty text, or null.
    """

    format: Literal["csv", "xlsx", "jsonl", "parquet"] = "csv"
    profile: Literal["machine", "excel", "excel_eu"] | None = None
    columns: Annotated[list[Column], Field(min_length=1, max_length=2_000)] | None = (
        None
    )
    split_records: Annotated[StrictInt, Field(ge=100)] | None = None
    text_columns: Annotated[list[FieldName], Field(max_length=2_000)] | None = None
    nulls: Literal["empty", "null"] | None = None


class ExportOptions(FileOptions):
    """What an export looks like, and which records it leaves out.

    `contacts_per_company` takes the first persons of a company, `skip_exported` leaves
    out what the license has had.
    """

    contacts_per_company: Annotated[StrictInt, Field(ge=0)] | None = None
    skip_exported: StrictBool = False


class Template(ExportOptions):
    """A way of exporting that a license has named."""

    name: ClientId


class Export(ExportOptions):
    """A file's options; of a `template` those that are not given here."""

    template: ClientId | None = None


Target = Annotated[StrictStr, Field(min_length=1, max_length=200)]
Fields = Annotated[dict[str, Target | None], Field(max_length=500)]


class Mapping(Body):
    """The CRM's field for each of ours; null sends none, what is not named stays usual.

    Ours are the columns of the input, full_name, and what is retrieved.
    """

    company: Fields = Field(default={})
    person: Fields = Field(default={})


class Push(Body):
    """Where a push goes to, and what it may overwrite.

    `never` leaves records alone that the CRM has, `if_empty` fills their empty fields.
    `send_blanks` clears what is empty in the input; `recreate_deleted` creates anew
    what was deleted in the CRM, and is left alone otherwise. A value that is none of a
    field's options refuses the request, unless `reject_invalid` leaves it to the CRM to
    reject that record.
    """

    connection: ClientId
    mapping: Mapping | None = None
    overwrite: Literal["never", "if_empty", "always"] = "always"
    tags: Annotated[list[Name], Field(max_length=20)] = Field(default=[])
    owner: Name | None = None
    send_blanks: StrictBool = False
    recreate_deleted: StrictBool = False
    reject_invalid: StrictBool = False


class QuoteBody(Body):
    """What is asked for: records in the body, or an upload."""

    kind: Literal["export", "push"]
    license: ClientId
    user: ClientId
    records: list[dict[str, Any]] | None = None
    upload: ClientId | None = None
    retrieve: list[Literal["email", "phone"]] = Field(default=[])
    email_level: EmailLevel = "verified"
    only_with: OnlyWith | None = None
    export: Export = Export()
    push: Push | None = None


class QuoteLine(BaseModel):
    """All distinct claims of one item."""

    item: Item
    count: int
    free: int
    unit_credits: int
    credits: int


class Changed(BaseModel):
    """An id that was paid for as somebody else, and is priced as new."""

    record: int
    item: Item
    subject: str


class Quote(BaseModel):
    """The most that a job can cost.

    `trimmed` counts the records that had white space around an id. `read` is what the
    records were read as, null where another quote's are quoted again; `problems_total`
    counts what was wrong with those that its upload has left out.
    """

    id: str
    max_credits: int
    lines: list[QuoteLine]
    records: int
    companies: int
    persons: int
    duplicates: int
    trimmed: int
    excluded: int
    changed: list[Changed]
    available: int
    affordable: bool
    fits_records: int
    expires_at: datetime
    problems_total: int
    read: ReadFile | None
    taken: dict[str, str]
    derived: DerivedCounts
