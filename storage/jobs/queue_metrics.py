"""What waits and what runs at this moment, for operators to watch."""

from typing import NamedTuple

from sqlalchemy import Connection, text

from storage.held_jobs import is_held
from storage.jobs import worker_health


class Queues(NamedTuple):
    """Jobs and chunks by state, entries by topic, all without what has ended.

    `dropped` are messages that workers dropped so far, by queue and reason.
    """

    jobs: dict[str, int]
    chunks: dict[str, int]
    outbox: dict[str, int]
    oldest_chunk_s: float
    oldest_entry_s: float
    idle_job_s: float
    """The longest time that a job runs without a checkpoint and says of no reason."""
    credits_reserved: int
    processes: dict[str, int]
    memory_bytes: dict[str, int]
    """By role: what processes and their children hold in memory, as they reported."""
    dropped: dict[tuple[str, str], int]


_JOBS = "SELECT state, count(*) FROM jobs WHERE finished_at IS NULL GROUP BY state"
_CHUNKS = """
SELECT state, count(*) FROM chunks
 WHERE state IN ('pending', 'dispatched', 'running') GROUP BY state"""
_OUTBOX = "SELECT topic, count(*) FROM outbox WHERE state <> 'done' GROUP BY topic"
_PROCESSES = """
SELECT role, count(*) FROM processes
 WHERE seen_at > clock_timestamp() - make_interval(secs => :within_s) GROUP BY role"""
_MEMORY = """
SELECT role, sum(rss_bytes) FROM processes
 WHERE seen_at > clock_timestamp() - make_interval(secs => :within_s)
   AND rss_bytes IS NOT NULL GROUP BY role"""
_NUMBERS = text(f"""
SELECT (SELECT coalesce(max(extract(epoch FROM clock_timestamp() - c.run_at)), 0)
          FROM chunks AS c JOIN jobs AS j ON j.id = c.job_id
         WHERE c.state = 'pending' AND c.run_at <= clock_timestamp()
           AND j.state IN ('queued', 'running')
           AND NOT {is_held("j")}) AS oldest_chunk_s,
       (SELECT coalesce(max(extract(epoch FROM clock_timestamp() - run_at)), 0)
          FROM outbox
         WHERE state = 'pending' AND run_at <= clock_timestamp()) AS oldest_entry_s,
       (SELECT coalesce(max(extract(epoch FROM holdfast_now() - r.deadline_at
                                               + make_interval(secs => r.lifetime_s))),
                        0)
          FROM jobs AS j JOIN reservations AS r ON r.job_id = j.id
         WHERE j.finished_at IS NULL AND j.state = 'running'
           AND j.waiting_reason IS NULL) AS idle_job_s,
       (SELECT coalesce(sum(amount - settled), 0)
          FROM reservations WHERE state = 'open') AS credits_reserved
""")  # noqa: S608 - constants only


def look(connection: Connection, *, processes_within_s: float) -> Queues:
    """How things stand; processes count that reported within this time."""
    numbers = connection.execute(_NUMBERS).one()
    return Queues(
        jobs=_counts(connection, _JOBS),
        chunks=_counts(connection, _CHUNKS),
        outbox=_counts(connection, _OUTBOX),
        oldest_chunk_s=float(numbers.oldest_chunk_s),
        oldest_entry_s=float(numbers.oldest_entry_s),
        idle_job_s=float(numbers.idle_job_s),
        credits_reserved=int(numbers.credits_reserved),
        processes=_counts(connection, _PROCESSES, within_s=processes_within_s),
        memory_bytes=_counts(connection, _MEMORY, within_s=processes_within_s),
        dropped=worker_health.dropped(connection),
    )


def _counts(connection: Connection, query: str, **parameters: object) -> dict[str, int]:
    rows = connection.execute(text(query), parameters)
    return {str(name): int(count) for name, count in rows}
