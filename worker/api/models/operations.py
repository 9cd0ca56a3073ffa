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
    what: Literal[
        "created", "started", "changed", "finished", "retried", "held", "let_go"
    ]
    from_state: str | None
    to_state: str | None
    waiting_reason: str | None
    error: str | None
    user: str | None
    job: str | None
    of: str | None
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


class Queue(BaseModel):
    """A queue of chunks; `records` is at most so many that have yet to be done.

    `drains_in_s` is how long that takes at the pace of the last five minutes, null
    where nothing was done in them.
    """

    name: Literal["small", "chunks"]
    jobs: int
    waiting: int
    dispatched: int
    running: int
    records: int
    oldest_s: float
    drains_in_s: float | None


class LicenseTurn(BaseModel):
    """A license that waits in a queue: its part of the places, and when its turn comes.

    The first of its chunks goes within so many `rounds`.
    """

    license: str
    queue: Literal["small", "chunks"]
    weight: float
    share: float
    rounds: int
    waiting: int
    records: int
    in_flight: int


class Outbox(BaseModel):
    """Entries that are not done; those that failed before; the oldest that is due."""

    waiting: int
    failing: int
    oldest_s: float


class Queues(BaseModel):
    """The queues, whose turn it is, and the outbox."""

    items: list[Queue]
    next: None
    records_s: float
    licenses: list[LicenseTurn]
    outbox: Outbox
