"""Whose turn it is: what licenses weigh, how urgent jobs are, and who waits for whom.

The scheduler of `worker/jobs` applies it.
"""

from decimal import Decimal
from typing import NamedTuple

from sqlalchemy import Connection, text

from storage.held_jobs import is_held
from storage.job_priority import Priority


def set_weight(connection: Connection, license_id: str, weight: Decimal) -> bool:
    """Let a license weigh this; whether it weighed something else."""
    moved = connection.execute(
        text("""
            UPDATE licenses SET weight = :weight
             WHERE id = :license_id AND weight <> :weight"""),
        {"license_id": license_id, "weight": weight},
    )
    return moved.rowcount == 1


def set_priority(connection: Connection, job_id: str, priority: Priority) -> bool:
    """Let a job be this urgent; whether it was not, and is neither ended nor ending."""
    moved = connection.execute(
        text("""
            UPDATE jobs SET priority = :priority
             WHERE id = :job_id AND priority <> :priority
               AND state IN ('queued', 'running', 'pausing', 'paused')"""),
        {"job_id": job_id, "priority": priority.value},
    )
    return moved.rowcount == 1


class WaitingLicense(NamedTuple):
    """What waits of one license in one of the two queues, and what is on its way.

    Small jobs have a queue of their own. The chunk that goes first has `first_records`.
    What is paused, or may not go yet, does not wait.
    """

    license_id: str
    is_small: bool
    weight: float
    chunks: int
    records: int
    first_records: int
    in_flight: int


# What waits and what is on its way of each job that is open. Of one that is paused or
# held nothing waits, and of one that is cancelled only what is in doubt.
_OPEN_JOBS = f"""
SELECT j.id, j.license_id, j.records <= :small_job_records AS is_small, j.priority,
       j.created_at, c.*
  FROM jobs AS j
 CROSS JOIN LATERAL (
       SELECT count(*) FILTER (WHERE waits) AS chunks,
              coalesce(sum(stop - cursor) FILTER (WHERE waits), 0) AS records,
              (array_agg(stop - cursor ORDER BY first) FILTER (WHERE waits))[1]
                AS first_records,
              count(*) FILTER (WHERE state <> 'pending') AS in_flight
         FROM (SELECT state, stop, cursor, first,
                      state = 'pending' AND run_at <= clock_timestamp()
                        AND NOT {is_held("j")}
                        AND (j.state IN ('queued', 'running')
                          OR (j.state = 'cancelling' AND doubted_at IS NOT NULL))
                        AS waits
                 FROM chunks
                WHERE job_id = j.id
                  AND state IN ('pending', 'dispatched', 'running')) AS one) AS c
 WHERE j.finished_at IS NULL
"""  # noqa: S608 - constants only

_WAITING_LICENSES = text(f"""
SELECT o.license_id, o.is_small, l.weight::double precision, sum(o.chunks)::bigint,
       sum(o.records)::bigint,
       (array_agg(o.first_records ORDER BY o.priority DESC, o.created_at, o.id)
        FILTER (WHERE o.chunks > 0))[1],
       sum(o.in_flight)::bigint
  FROM ({_OPEN_JOBS}) AS o JOIN licenses AS l ON l.id = o.license_id
 GROUP BY o.license_id, o.is_small, l.weight
HAVING sum(o.chunks) > 0
 ORDER BY o.is_small DESC, o.license_id
""")  # noqa: S608 - a constant


def waiting_licenses(
    connection: Connection, *, small_job_records: int
) -> list[WaitingLicense]:
    """What waits, by license and queue."""
    rows = connection.execute(
        _WAITING_LICENSES, {"small_job_records": small_job_records}
    )
    return [WaitingLicense(*row) for row in rows]


class WaitingJob(NamedTuple):
    """How many chunks of a job wait."""

    job_id: str
    is_small: bool
    priority: Priority
    chunks: int


_WAITING_JOBS = text(f"""
SELECT o.id, o.is_small, o.priority, o.chunks FROM ({_OPEN_JOBS}
   AND j.license_id = (SELECT license_id FROM jobs WHERE id = :job_id)) AS o
 WHERE o.chunks > 0 ORDER BY o.created_at, o.id
""")  # noqa: S608 - a constant


def jobs_beside(
    connection: Connection, job_id: str, *, small_job_records: int
) -> list[WaitingJob]:
    """The jobs of a job's license of which something waits, the oldest first."""
    rows = connection.execute(
        _WAITING_JOBS, {"job_id": job_id, "small_job_records": small_job_records}
    )
    return [WaitingJob(one, small, Priority(of), n) for one, small, of, n in rows]
