"""Statements of periods, and closing one."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field, StrictStr

from worker.api.models.field_types import Name
from worker.api.models.licenses import PeriodBounds
from worker.api.models.operations import Reasoned

_PERIOD = r"^[0-9]{4}-[0-9]{2}(-[0-9]{2}[Tt ].+)?$"

PeriodName = Annotated[StrictStr, Field(max_length=40, pattern=_PERIOD)]
"""A period by its starts_at, or by the month that it starts in: `2026-11`."""


class Accounts(BaseModel):
    """A period's credits by account; of a movement, how it changed them."""

    available: int
    reserved: int
    spent: int
    expired: int


class Movement(Accounts):
    """What credits moved by: how many, and how often."""

    kind: str
    credits: int
    count: int


class StatementTopUp(BaseModel):
    """Credits that were added."""

    reference: str
    credits: int
    count: int
    at: datetime


class StatementCreditNote(BaseModel):
    """What a credit note gave back in this run; before there were any, no number."""

    number: int | None
    job: str | None
    credits: int
    count: int
    at: datetime


class StatementLine(BaseModel):
    """What was charged of one item or user in this run, and given back in it."""

    key: str
    credits: int
    refunded: int
    count: int


class StatementJobLine(StatementLine):
    """The same of a job; `views` is no job."""

    job: str | None


class LateMovement(BaseModel):
    """What moved once the period was over; `at` is the first time."""

    kind: str
    job: str | None
    credits: int
    count: int
    at: datetime


class StatementMemo(BaseModel):
    """Refunds of an earlier period while this one ran: their credits stand there."""

    kind: str
    job: str | None
    count: int
    period: datetime


class PreviousStatement(BaseModel):
    """The period before, of which nothing is carried over."""

    starts_at: datetime
    run: int | None
    head: str | None
    closing: Accounts


class Statement(BaseModel):
    """A run of a period's statement; once it is frozen it never changes."""

    license: str
    period: PeriodBounds
    run: int
    previous: PreviousStatement | None
    opening: Accounts
    movements: list[Movement]
    top_ups: list[StatementTopUp]
    credit_notes: list[StatementCreditNote]
    by_item: list[StatementLine]
    by_user: list[StatementLine]
    by_job: list[StatementJobLine]
    late: list[LateMovement]
    memo: list[StatementMemo]
    closing: Accounts
    head: str | None
    frozen_at: datetime | None


class FrozenStatement(BaseModel):
    """A frozen run in a list."""

    period: PeriodBounds
    run: int
    closing: Accounts
    head: str | None
    sha256: str
    frozen_at: datetime


class PeriodToClose(Reasoned):
    """The period that is to be closed, and why; it is kept for good."""

    period: PeriodName
    reason: Name | None = None
