"""What operators see and do: actions, and timelines of jobs."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel

from worker.api.models.field_types import Body, ClientId, Name


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


class Chunk(BaseModel):
    """A slice of a job's records: how far it is, and who holds it until when."""

    id: int
    job: str
    state: Literal["pending", "dispatched", "running", "done", "cancelled"]
    first: int
    cursor: int
    stop: int
    attempt: int
    owner: str | None
    lease_until: datetime | None
    run_at: datetime
    crashes: int
    failures: int
    last_error: str | None
    in_doubt: bool


class Reasoned(Body):
    """Why something is done; it is kept for good, so name no person."""

    reason: Name | None = None


class Requeue(Reasoned):
    """What is to be tried at once, and why; without a topic all that waits."""

    topic: ClientId | None = None


class Requeued(BaseModel):
    """How many entries of the outbox are due now that waited after a failure."""

    requeued: int


class ChunkInHand(BaseModel):
    """A chunk that a process runs."""

    id: int
    job: str
    license: str
    lease_until: datetime | None


class Process(BaseModel):
    """A worker or a dispatcher by its last report, and what it has in hand.

    `entries` is how many entries of the outbox it runs.
    """

    id: str
    role: Literal["worker", "dispatcher"]
    state: Literal["alive", "draining", "drained", "silent"]
    host: str | None
    pid: int | None
    version: str | None
    started_at: datetime
    seen_at: datetime
    draining_since: datetime | None
    rss_bytes: int | None
    chunks: list[ChunkInHand]
    entries: int
