"""Reconciliations: what is asked, how one stands, what it found."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, Field, StrictStr

from worker.api.models.field_types import Body, ClientId

NamedPeriod = Annotated[
    StrictStr,
    Field(
        max_length=40,
        pattern=r"^(open|[0-9]{4}-[0-9]{2}(-[0-9]{2}[Tt ].+)?)$",
        examples=["2026-11"],
    ),
]
"""A period by its starts_at, by its month, or `open` for all that have not ended."""


class NewReconciliation(Body):
    """Which period to reconcile; without a license those of all."""

    period: NamedPeriod
    license: ClientId | None = None


class Reconciliation(BaseModel):
    """How a reconciliation stands; it ends as done, or failed with an error."""

    id: int
    period: str
    license: str | None
    nightly: bool
    state: Literal["queued", "running", "done", "failed"]
    periods: int
    jobs: int
    charges: int
    recomputed: int
    not_recomputable: int
    differences_total: int
    error: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class Difference(BaseModel):
    """Something that is not what it should be."""

    where: str
    id: str
    expected: str
    found: str
    license: str
    job: str | None
    record: int | None
    charge: int | None


class NotRecomputable(BaseModel):
    """Why some charges could not be computed again."""

    license: str
    job: str | None
    what: str
    why: str
    charges: int


class ShownReconciliation(Reconciliation):
    """A reconciliation, a page of its differences, and what it could not compute."""

    differences: list[Difference]
    reasons: list[NotRecomputable]
    next: str | None


ColumnName = Annotated[StrictStr, Field(min_length=1, max_length=200)]
"""A column of a CSV, as its first line calls it."""


class UsageIds(StrEnum):
    """What the ids of a provider's usage file are: our jobs, or requests."""

    JOB = "job"
    LOOKUP = "lookup"


class UsageCounts(BaseModel):
    """How many ids are on both sides, on one alone, or at another amount."""

    matched: int
    ours_only: int
    theirs_only: int
    different_amount: int


class UsageId(BaseModel):
    """An id with the amounts of both sides, exact; null where one says none."""

    state: Literal["matched", "ours_only", "theirs_only", "different_amount"]
    id: str
    ours: str | None
    theirs: str | None


class UsageMatches(BaseModel):
    """A vendor's file matched; `since` and `before` are what its instants span."""

    since: datetime | None
    before: datetime | None
    counts: UsageCounts
    matches: list[UsageId]
    matches_total: int
