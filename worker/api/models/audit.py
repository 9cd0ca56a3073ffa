"""The audit, and what operators say of what it finds."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from worker.api.models.field_types import Body, Name


class Acknowledgement(BaseModel):
    """Who has said what of a violation, and the charge given back with it."""

    at: datetime
    by: str
    reason: str
    refund: int | None


class Violation(BaseModel):
    """A promise that is broken, as it was when this was found."""

    id: int
    check: str
    detail: str
    found_at: datetime
    acknowledged: Acknowledgement | None


class Audit(BaseModel):
    """How the ledger stands by the last audit."""

    state: Literal["ok", "violated", "late"]
    audited_at: datetime | None
    violations: list[Violation]


class NewAcknowledgement(Body):
    """Why a violation need not sound any more; `refund` is a charge to give back."""

    reason: Name
    by: Name | None = None
    refund: int | None = Field(default=None, ge=1, le=(1 << 63) - 1)
