"""What operators see and do: actions, and timelines of jobs."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel


class Action(BaseModel):
    """Something that somebody has done; `key` is null on the command line."""

    id: int
    at: datetime
    by: str
    key: str | None
    origin: str
    verb: str
    target: str
    target_kind: str
    license: str | None
    reason: str | None
    affected: int
    bulk: str | None


class TimelineAction(BaseModel):
    """By whose action something happened to a job."""

    id: int
    by: str
    verb: str
    reason: str | None


class TimelineEntry(BaseModel):
    """What happened to a job; without an `action` it went its way by itself."""

    at: datetime
    what: Literal["created", "started", "changed", "finished", "retried"]
    from_state: str | None
    to_state: str | None
    waiting_reason: str | None
    error: str | None
    user: str | None
    job: str | None
    action: TimelineAction | None
