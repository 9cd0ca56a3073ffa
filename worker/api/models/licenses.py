"""Licenses: their users, periods, top-ups, usage, views and notifications."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field, StrictBool, StrictInt

from worker.api.models.field_types import (
    Body,
    ClientId,
    Credits,
    Instant,
    Name,
    RecordId,
)
from worker.api.models.operations import Reasoned
from worker.licenses.credit_amounts import CREDITS_MAX
from worker.operations.turn_order import WEIGHT_MAX, WEIGHT_MIN

Plan = Literal["V1", "V2", "V3"]
PaymentTerm = Literal["monthly", "yearly"]
Feature = Literal["user_permissions"]
Role = Literal["admin", "member", "viewer"]


class NewLicense(Body):
    """A license to be created."""

    id: ClientId
    name: Name
    plan: Plan
    payment_term: PaymentTerm
    credits: Credits
    starts_at: Instant | None = None
    features: list[Feature] = Field(default=[])


class LicenseChange(Body):
    """Plan and term count for new quotes, credits from the next period."""

    plan: Plan | None = None
    payment_term: PaymentTerm | None = None
    credits: Credits | None = None
    features: list[Feature] | None = None


class NewWeight(Reasoned):
    """How many times the share of others a license's chunks have."""

    weight: Annotated[
        float,
        Field(strict=True, ge=WEIGHT_MIN, le=WEIGHT_MAX, allow_inf_nan=False),
    ]


class License(BaseModel):
    """The paying account."""

    id: str
    name: str
    plan: Plan
    payment_term: PaymentTerm
    credits: int
    starts_at: datetime
    features: list[str]
    weight: float


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


class ToppedUp(Balance):
    """The running period's credits after a top-up, and when what was added expires."""

    expires_at: datetime


class Period(PeriodBounds):
    """A period with its counters."""

    granted: int
    reserved: int
    spent: int
    expired: int
    available: int
    ended_at: datetime | None
    closed_at: datetime | None


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
    company_id: RecordId


class View(BaseModel):
    """What a view cost."""

    credits: int
    free_because: Literal["plan", "exported", "viewed"] | None


class Notification(BaseModel):
    """A message to a user, or to all who look after the license."""

    id: int
    user: str | None
    code: str
    message: str
    created_at: datetime
