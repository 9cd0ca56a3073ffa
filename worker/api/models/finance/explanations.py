"""A charge explained."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel

from worker.api.models.field_types import Item


class ExplainedRecord(BaseModel):
    """The first record of the input that a charge is for, and how many there are."""

    record: int
    company_id: str
    person_id: str | None
    records: int


class ExplainedFinding(BaseModel):
    """Who found what is charged for, and whether their answer is kept still."""

    provider: str
    kept: bool
    found_at: datetime | None


class Explanation(BaseModel):
    """What a charge is for and why it cost what it did, first in sentences."""

    charge: int
    license: str
    job: str | None
    user: str
    item: Item
    subject: str
    credits: int
    rule: str
    charged_at: datetime
    refunded_at: datetime | None
    credit_note: int | None
    sentences: list[str]
    record: ExplainedRecord | None
    terms: dict[str, Any] | None
    quoted_at: datetime | None
    quote_line: dict[str, Any] | None
    reserved: int | None
    settled: int | None
    paid_by: int | None
    free_on_it: list[int]
    free_on_it_total: int
    finding: ExplainedFinding | None
    person_erased: bool
