"""Webhooks, and what they were told."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field, StrictInt, StrictStr

from worker.api.models.field_types import Body, ClientId
from worker.webhooks.webhooks import OVERLAP_S_MAX

Event = Literal[
    "job.finished",
    "credits.low",
    "reservation.expired",
    "period.closed",
    "period.reopened",
    "refund.booked",
    "refund.awaiting_approval",
    "refund.rejected",
    "balance.threshold",
    "statement.frozen",
]


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


class Rotation(Body):
    """For how long the old secret signs beside the new one, at most 30 days."""

    overlap_s: Annotated[StrictInt, Field(ge=0, le=OVERLAP_S_MAX)]


class RotatedWebhook(NewlyMadeWebhook):
    """A webhook with its new secret; null where the old one has ended."""

    old_secret_until: datetime | None


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
