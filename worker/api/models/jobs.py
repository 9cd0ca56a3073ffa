"""Jobs: how they are asked for, how they stand, and what became of their records."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel

from worker.api.models.ground import Body, ClientId, Credits, Name
from worker.api.models.quotes import QuoteBody

State = Literal[
    "queued",
    "running",
    "pausing",
    "paused",
    "cancelling",
    "finishing",
    "succeeded",
    "partial",
    "cancelled",
    "failed",
]


class QuotedJob(Body):
    """A job of a quote."""

    quote: ClientId
    name: Name | None = None


class DirectJob(QuoteBody):
    """A job that is quoted and submitted at once, below a ceiling."""

    name: Name | None = None
    max_credits: Credits | None = None


class Retry(Body):
    """How to try again."""

    max_credits: Credits | None = None


class Waiting(BaseModel):
    """Why a job does not go on."""

    reason: str
    until: datetime | None


class JobCredits(BaseModel):
    """What a job has reserved, and what became of it."""

    reserved: int
    settled: int
    released: int
    refunded: int


class Progress(BaseModel):
    """How far a job has come."""

    records: int
    delivered: int
    excluded: int
    rejected: int
    unreached: int
    chunks: int
    chunks_done: int


class Found(BaseModel):
    """What was found."""

    email: int
    phone: int


class File(BaseModel):
    """The file that a job left."""

    name: str
    bytes: int
    sha256: str
    url: str | None
    expires_at: datetime | None


class JobError(BaseModel):
    """An error that is not a record's."""

    code: str
    detail: str


class Job(BaseModel):
    """An export."""

    id: str
    kind: Literal["export", "push"]
    state: State
    license: str
    user: str
    name: str | None
    retry_of: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    waiting: Waiting | None
    credits: JobCredits
    progress: Progress
    found: Found
    file: File | None
    error: JobError | None


class Rejection(BaseModel):
    """A record that was rejected, and why."""

    record: int
    company_id: str
    person_id: str | None
    code: str
    field: str | None
    message: str | None
    link: str | None


class RecordOutcome(BaseModel):
    """What became of a record."""

    record: int
    company_id: str
    person_id: str | None
    outcome: Literal["delivered", "excluded", "rejected", "unreached"]
    email_found: bool
    phone_found: bool
    code: str | None
