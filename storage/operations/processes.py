"""Workers and dispatchers as operators see them, and what they have in hand."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection, text

from storage.operations import chunk_reports
from storage.operations.chunk_reports import ChunkReport


class ProcessState(StrEnum):
    """How a process stands."""

    ALIVE = "alive"
    DRAINING = "draining"
    """It takes nothing more, and has something in hand yet."""
    DRAINED = "drained"
    """It takes nothing more, and has nothing in hand."""
    SILENT = "silent"
    """It has not been heard of for too long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A process by its last report; `chunks` are those that it and its children run.

    `entries` is how many entries of the outbox they run, completions among them.
    `drain_asked_at` is set where somebody wants it to take nothing more.
    """

    id: str
    role: str
    host: str | None
    pid: int | None
    version: str | None
    started_at: datetime
    seen_at: datetime
    rss_bytes: int | None
    drain_asked_at: datetime | None
    draining_since: datetime | None
    state: ProcessState
    entries: int
    chunks: Sequence[ChunkReport]


_PROCESSES = """
SELECT p.id, p.role, p.host, p.pid, p.version, p.started_at, p.seen_at, p.rss_bytes,
       p.drain_asked_at, p.draining_since,
       p.seen_at < clock_timestamp() - make_interval(secs => :silent_s) AS is_silent,
       (SELECT count(*)::integer FROM outbox AS o
         WHERE o.state = 'running' AND split_part(o.owner, '/', 1) = p.id) AS entries
  FROM processes AS p
"""


def processes(connection: Connection, *, silent_s: float) -> list[Process]:
    """All that were heard of within the hour, the longest there first.

    One that was not heard of for `silent_s` is silent.
    """
    rows = connection.execute(
        text(f"{_PROCESSES} ORDER BY p.started_at, p.id"), {"silent_s": silent_s}
    ).mappings()
    in_hand: dict[str, list[ChunkReport]] = {}
    for chunk in chunk_reports.in_hand(connection):
        in_hand.setdefault(worker_of(chunk.owner or ""), []).append(chunk)
    return [_process(dict(row), in_hand.get(row["id"], [])) for row in rows]


def process(
    connection: Connection, process_id: str, *, silent_s: float
) -> Process | None:
    """One of them."""
    found = processes(connection, silent_s=silent_s)
    return next((one for one in found if one.id == process_id), None)


def worker_of(owner: str) -> str:
    """The id of the worker that an owner of a chunk belongs to, or is."""
    return owner.partition("/")[0]


def _process(row: dict[str, object], chunks: Sequence[ChunkReport]) -> Process:
    state = state_of(
        is_silent=bool(row.pop("is_silent")),
        drains=row["draining_since"] is not None,
        is_to_drain=row["drain_asked_at"] is not None,
        is_busy=bool(chunks or row["entries"]),
    )
    return Process(**row, state=state, chunks=chunks)  # type: ignore[arg-type]


def state_of(
    *, is_silent: bool, drains: bool, is_to_drain: bool, is_busy: bool
) -> ProcessState:
    """How a process stands, by what it has said and what it was asked."""
    if is_silent:
        return ProcessState.SILENT
    if drains:
        return ProcessState.DRAINING if is_busy else ProcessState.DRAINED
    # One that is to drain has yet to hear of it.
    return ProcessState.DRAINING if is_to_drain else ProcessState.ALIVE


def ask_to_drain(connection: Connection, process_id: str) -> bool:
    """Want a worker to take nothing more; False where that is wanted already."""
    moved = connection.execute(
        text("""
            UPDATE processes SET drain_asked_at = clock_timestamp()
             WHERE id = :id AND role = 'worker' AND drain_asked_at IS NULL"""),
        {"id": process_id},
    )
    return moved.rowcount == 1


def ask_to_go_on(connection: Connection, process_id: str) -> bool:
    """Let a worker take chunks again; False where nobody has wanted it not to."""
    moved = connection.execute(
        text("""
            UPDATE processes SET drain_asked_at = NULL
             WHERE id = :id AND role = 'worker' AND drain_asked_at IS NOT NULL"""),
        {"id": process_id},
    )
    return moved.rowcount == 1
