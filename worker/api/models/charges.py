"""Charges, and their refunds."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel

from worker.api.models.field_types import Body, Item, Name


class Charge(BaseModel):
    """One credit line."""

    id: int
    license: str
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
