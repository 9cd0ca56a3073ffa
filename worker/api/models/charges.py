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
    """What a refund would give back, and what is free on this charge and stays so.

    Charges, quotes that still make a job, and jobs under way: the first 500 of each.
    """

    credits: int
    free_on_it: list[int]
    quotes: list[str]
    jobs: list[str]


class RefundBody(Body):
    """Why a charge is given back."""

    reason: Name


class Refund(BaseModel):
    """A charge that was given back, or waits for that, and by which credit note."""

    charge: int
    credits: int
    reason: str
    refund: int
    number: int | None
    state: Literal["awaiting_approval", "booked", "rejected"]
