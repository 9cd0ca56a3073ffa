"""Pauses of more than a job."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel

from worker.api.models.field_types import Name
from worker.api.models.operations import Reasoned


class NewPause(Reasoned):
    """Why something is paused."""

    reason: Name


class Pause(BaseModel):
    """Whether something is paused, and why; `subject` is null for everything."""

    scope: Literal["everything", "license", "connection", "provider"]
    subject: str | None
    paused: bool
    reason: str | None
    paused_by: str | None
    paused_at: datetime | None
