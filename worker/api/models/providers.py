"""Requests to providers, and what providers were paid."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from worker.api.models.field_types import Item


class Lookup(BaseModel):
    """A request that a provider answers later."""

    id: str
    provider: str
    job: str
    state: Literal["prepared", "sent", "answered", "expired"]
    vendor_id: str | None = Field(description="The provider's id; null: in doubt.")
    persons: int
    created_at: datetime
    deadline: datetime
    ended_at: datetime | None


class Taken(BaseModel):
    """The request that a provider has reported on."""

    lookup: str


class ChargedItem(BaseModel):
    """What a job was charged for what one provider found, in our credits."""

    item: Item
    provider: str | None
    lines: int
    credits: int


class Paid(BaseModel):
    """What a provider was paid, in its own credits, which may be parts of one."""

    provider: str
    answers: int
    paid: str


class JobCosts(BaseModel):
    """What a job was charged, and what it cost."""

    job: str
    charged: list[ChargedItem]
    paid: list[Paid]
