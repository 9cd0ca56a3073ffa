"""Jobs: how they are asked for, how they stand, and what became of their records."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Discriminator, Field, StrictBool, StrictInt, Tag

from worker.api.models.field_types import Body, ClientId, Credits, Instant, Name
from worker.api.models.operations import Reasoned
from worker.api.models.quotes import FileOptions, Mapping, QuoteBody

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


Priority = Literal["low", "normal", "high"]


class NewPriority(Reasoned):
    """How soon a job's chunks go among those of its license."""

    priority: Priority


class QuotedJob(Body):
    """A job of a quote."""

    quote: ClientId
    name: Name | None = None


class DirectJob(QuoteBody):
    """A job that is quoted and submitted at once, below a ceiling."""

    name: Name | None = None
    max_credits: Credits | None = None


_QUOTED, _DIRECT = "a quoted job", "a direct job"

FORMS = frozenset({_QUOTED, _DIRECT})
"""What errors call the forms of a `NewJob`; they are no fields of it."""

_OF_QUOTED = QuotedJob.model_fields.keys() - DirectJob.model_fields.keys()
_OF_DIRECT = DirectJob.model_fields.keys() - QuotedJob.model_fields.keys()


def _form(body: object) -> str:
    """The form that a body resembles most: what is wrong is said of that one."""
    given = body.keys() if isinstance(body, dict) else set()
    is_direct = len(given & _OF_DIRECT) > len(given & _OF_QUOTED)
    return _DIRECT if is_direct else _QUOTED


NewJob = Annotated[
    Annotated[QuotedJob, Tag(_QUOTED)] | Annotated[DirectJob, Tag(_DIRECT)],
    Discriminator(_form),
]
"""A job of a quote, or of what is quoted and submitted at once."""


class RetriedPush(Body):
    """What is different about a push this time."""

    mapping: Mapping


class RetriedExport(FileOptions):
    """How the file looks this time; of a `template` what is not given here.

    What is said by neither stays as it was, and so do the records that are left out.
    """

    template: ClientId | None = None


class Retry(Reasoned):
    """How to try again: at most at this cost, with another mapping or another file."""

    max_credits: Credits | None = None
    push: RetriedPush | None = None
    export: RetriedExport | None = None


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
    """How far a job has come; a push has created, updated or left what it delivered."""

    records: int
    delivered: int
    created: int
    updated: int
    unchanged: int
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
    """An export or a push."""

    id: str
    kind: Literal["export", "push"]
    state: State
    license: str
    user: str
    name: str | None
    retry_of: str | None
    priority: Priority
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
    change: Literal["created", "updated", "unchanged"] | None
    code: str | None
    message: str | None
    link: str | None


Words = Annotated[Name, Field(max_length=200)]


class JobFilter(Body):
    """Which jobs; what is left out does not matter, and something must be said."""

    license: ClientId | None = None
    kind: Literal["export", "push"] | None = None
    state: State | None = None
    user: ClientId | None = None
    from_: Instant | None = Field(default=None, alias="from")
    to: Instant | None = None
    text: Words | None = None
    waiting: Words | None = None


class BulkBody(Reasoned):
    """A verb for all jobs that match: refused where they are more than `expected`."""

    verb: Literal["pause", "resume", "cancel", "retry", "give-up"]
    filter: JobFilter
    expected: Annotated[StrictInt, Field(ge=0)] | None = None
    dry_run: StrictBool = False


class BulkAnswer(BaseModel):
    """How many jobs the verb fitted, how many it moved, and how many it did not.

    `max` is how many may be steered at once; `bulk` is what their actions share.
    """

    matched: int
    done: int
    skipped: int
    max: int
    bulk: str | None
