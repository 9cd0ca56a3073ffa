"""What comes in and goes out, as the OpenAPI document describes it."""

from datetime import datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
)

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
Plan = Literal["V1", "V2", "V3"]
PaymentTerm = Literal["monthly", "yearly"]
Feature = Literal["user_permissions"]
Role = Literal["admin", "member", "viewer"]
Item = Literal["company", "email", "phone"]
EmailLevel = Literal["verified", "accept_all"]
OnlyWith = Literal["email", "verified_email"]
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


class NewLicense(Body):
    """A license to be created."""

    id: ClientId
    name: Name
    plan: Plan
    payment_term: PaymentTerm
    credits: Credits
    starts_at: AwareDatetime | None = None
    features: list[Feature] = []


class LicenseChange(Body):
    """Plan and term count for new quotes, credits from the next period."""

    plan: Plan | None = None
    payment_term: PaymentTerm | None = None
    credits: Credits | None = None
    features: list[Feature] | None = None


class License(BaseModel):
    """The paying account."""

    id: str
    name: str
    plan: Plan
    payment_term: PaymentTerm
    credits: int
    starts_at: datetime
    features: list[str]


class UserPermission(Body):
    """Who a user is in a license."""

    role: Role
    credits_allowed: StrictBool


class User(BaseModel):
    """A user that was named."""

    id: str
    role: Role
    credits_allowed: bool


class PeriodBounds(BaseModel):
    """From `starts_at` up to, not including, `ends_at`."""

    starts_at: datetime
    ends_at: datetime


class Balance(BaseModel):
    """The running period's credits."""

    period: PeriodBounds
    granted: int
    reserved: int
    spent: int
    expired: int
    available: int


class Period(PeriodBounds):
    """A period with its counters."""

    granted: int
    reserved: int
    spent: int
    expired: int
    available: int
    ended_at: datetime | None


class TopUp(Body):
    """Credits for the running period, once for each reference."""

    credits: Annotated[StrictInt, Field(ge=1, le=CREDITS_MAX)]
    reference: ClientId


class UsageItem(BaseModel):
    """The credits of one key, less what was refunded of them."""

    key: str
    credits: int
    count: int


class Usage(BaseModel):
    """What a period's credits went to."""

    period: PeriodBounds
    items: list[UsageItem]


class NewView(Body):
    """A company to be viewed."""

    user: ClientId
    company_id: ClientId


class View(BaseModel):
    """What a view cost."""

    credits: int
    free_because: Literal["plan", "exported", "viewed"] | None


class Notification(BaseModel):
    """A message to a user."""

    id: int
    user: str
    code: str
    message: str
    created_at: datetime


class Column(Body):
    """A column of the file: a field of the input, email, email_status or phone."""

    field: Annotated[StrictStr, Field(min_length=1, max_length=1_000)]
    heading: Name | None = None


class Export(Body):
    """What an export looks like; `profile` is for CSV, `split_records` makes a ZIP."""

    format: Literal["csv", "xlsx", "jsonl", "parquet"] = "csv"
    profile: Literal["machine", "excel", "excel_eu"] | None = None
    columns: Annotated[list[Column], Field(min_length=1, max_length=2_000)] | None = (
        None
    )
    split_records: Annotated[StrictInt, Field(ge=100)] | None = None


class Upload(BaseModel):
    """A file of records that was kept; `problems` are the first that were left out."""

    id: str
    records: int
    companies: int
    persons: int
    duplicates: int
    problems: list[ErrorItem]


class QuoteBody(Body):
    """What is asked for: records in the body, or an upload."""

    kind: Literal["export"]
    license: ClientId
    user: ClientId
    records: list[dict[str, Any]] | None = None
    upload: ClientId | None = None
    retrieve: list[Literal["email", "phone"]] = []
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
    changed: list[Changed]
    available: int
    affordable: bool
    fits_records: int
    expires_at: datetime


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


class Charge(BaseModel):
    """One credit line."""

    id: int
    job: str | None
    view: str | None
    user: str
    item: Item
    subject: str
    credits: int
    rule: Literal["price", "free_as_quoted", "paid_meanwhile", "unchanged"]
    paid_by: int | None
    charged_at: datetime
    refunded_at: datetime | None


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


class RefundPreview(BaseModel):
    """What a refund would give back, and which charges were free on this one."""

    credits: int
    free_on_it: list[int]


class RefundBody(Body):
    """Why a charge is given back."""

    reason: Name


class Refund(BaseModel):
    """A charge that was given back."""

    charge: int
    credits: int
    reason: str


Event = Literal["job.finished", "credits.low", "reservation.expired", "period.closed"]


class NewWebhook(Body):
    """Where to tell a license of what happens."""

    license: ClientId
    url: Annotated[StrictStr, Field(min_length=1, max_length=2000)]
    events: Annotated[list[Event], Field(min_length=1)]


class Webhook(BaseModel):
    """Where a license is told of what happens."""

    id: str
    license: str
    url: str
    events: list[str]
    created_at: datetime


class NewlyMadeWebhook(Webhook):
    """A webhook with its secret, which is shown this once."""

    secret: str | None


class DeliveryAttempt(BaseModel):
    """One request: the status it was answered with, or the error it ended in."""

    attempted_at: datetime
    status: int | None
    error: str | None
    took_s: float


class Delivery(BaseModel):
    """One event for one webhook."""

    id: int
    event: str
    type: str
    created_at: datetime
    delivered_at: datetime | None
    given_up_at: datetime | None
    next_attempt_at: datetime | None
    attempts: list[DeliveryAttempt]
