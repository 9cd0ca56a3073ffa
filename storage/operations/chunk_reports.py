"""Chunks as operators see them."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from storage.state_machine import ChunkState


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkReport:
    """A chunk: how far it is, who holds it until when, and what went wrong with it.

    Positions count from 0 in the job's input. `doubted_at` says since when something
    may have been sent of it that is not settled.
    """

    id: int
    job_id: str
    license_id: str
    state: ChunkState
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
    doubted_at: datetime | None
    lease_left_s: float | None
    """Below 0 where its worker is silent."""
    waits_s: float
    """How long it is until it may run; 0 where it may."""
    delivered: int
    excluded: int
    rejected: int


_CHUNKS = """
SELECT c.id, c.job_id, j.license_id, c.state, c.first, c.cursor, c.stop, c.attempt,
       c.owner, c.lease_until, c.run_at, c.crashes, c.failures, c.last_error,
       c.doubted_at,
       CAST(extract(epoch FROM c.lease_until - clock_timestamp()) AS float)
         AS lease_left_s,
       CAST(greatest(0, extract(epoch FROM c.run_at - clock_timestamp())) AS float)
         AS waits_s,
       c.delivered, c.excluded, c.rejected
  FROM chunks AS c JOIN jobs AS j ON j.id = c.job_id
"""


def chunk(connection: Connection, chunk_id: int) -> ChunkReport | None:
    """One chunk."""
    row = connection.execute(
        text(f"{_CHUNKS} WHERE c.id = :id"), {"id": chunk_id}
    ).mappings()
    found = row.one_or_none()
    return None if found is None else _report(dict(found))


def of_job(
    connection: Connection, job_id: str, *, after: int = -1, limit: int = 10_000
) -> list[ChunkReport]:
    """A job's chunks in the order of its input, those that begin behind `after`."""
    rows = connection.execute(
        text(f"""
            {_CHUNKS} WHERE c.job_id = :job_id AND c.first > :after
             ORDER BY c.first LIMIT :limit"""),
        {"job_id": job_id, "after": after, "limit": limit},
    ).mappings()
    return [_report(dict(row)) for row in rows]


def in_hand(connection: Connection) -> list[ChunkReport]:
    """All chunks that somebody runs, by id."""
    rows = connection.execute(
        text(f"{_CHUNKS} WHERE c.state = 'running' ORDER BY c.id")
    ).mappings()
    return [_report(dict(row)) for row in rows]


def license_of(connection: Connection, chunk_id: int) -> str | None:
    """Whose chunk it is, if it exists."""
    return connection.execute(
        text("""
            SELECT j.license_id FROM chunks AS c JOIN jobs AS j ON j.id = c.job_id
             WHERE c.id = :id"""),
        {"id": chunk_id},
    ).scalar_one_or_none()


def _report(row: dict[str, object]) -> ChunkReport:
    values = row | {"state": ChunkState(str(row["state"]))}
    return ChunkReport(**values)  # type: ignore[arg-type]
