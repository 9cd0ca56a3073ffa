"""Quotes: what is asked for, and the most that it can cost."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from worker.api.models.ground import Body, ClientId, Item

EmailLevel = Literal["verified", "accept_all"]
OnlyWith = Literal["email", "verified_email"]


class Export(Body):
    """What an export looks like."""

    format: Literal["csv"] = "csv"


class QuoteBody(Body):
    """What is asked for: records in the body, or an upload."""

    kind: Literal["export"]
    license: ClientId
    user: ClientId
    records: list[dict[str, Any]] | None = None
    upload: ClientId | None = None
    retrieve: list[Literal["email", "phone"]] = Field(default=[])
    email_level: EmailLevel = "verified"
    only_with: OnlyWith | None = None
    export: Export = Export()


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
    """The most that a job can cost."""

    id: str
    max_credits: int
    lines: list[QuoteLine]
    records: int
    companies: int
    persons: int
    duplicates: int
    excluded: int
    changed: list[Changed]
    available: int
    affordable: bool
    fits_records: int
    expires_at: datetime
