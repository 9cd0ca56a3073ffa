"""Parked jobs: paused by the system, until the cause ends or somebody resumes them."""

from sqlalchemy import Connection, text

from storage.jobs.job_control import NEEDS_RECONNECT, TOO_MANY_REJECTIONS


def park(connection: Connection, job_id: str, reason: str) -> bool:
    """Pause a job for a cause of its own; `come_to_rest` must follow."""
    moved = connection.execute(
        text("""
            UPDATE jobs SET waiting_reason = :reason, waiting_until = NULL,
                   state = CASE state WHEN 'queued' THEN 'paused' ELSE 'pausing' END
             WHERE id = :job_id AND state IN ('queued', 'running')"""),
        {"job_id": job_id, "reason": reason},
    )
    return moved.rowcount == 1


def resume_parked(connection: Connection, connection_id: str) -> None:
    """Let the jobs go on that are parked until their connection works."""
    connection.execute(
        text("""
            UPDATE jobs SET waiting_reason = NULL, waiting_until = NULL,
                   state = CASE jobs.state WHEN 'paused' THEN 'queued'
                                           ELSE 'running' END
              FROM quotes AS q
             WHERE q.id = jobs.quote_id AND q.push IS NOT NULL
               AND q.push ->> 'connection' = :connection_id
               AND jobs.state IN ('pausing', 'paused')
               AND jobs.waiting_reason = :reason"""),
        {"connection_id": connection_id, "reason": NEEDS_RECONNECT},
    )


def park_where_rejected(
    connection: Connection, job_id: str, *, share: float, least: int
) -> bool:
    """Park a job of whose tried records more than this share, and so many, went wrong.

    Not where somebody has let it go on before (rule 4).
    """
    too_many = connection.execute(
        text("""
            SELECT coalesce(sum(rejected), 0) >= :least
                   AND sum(rejected) > :share * sum(rejected + delivered)
              FROM chunks WHERE job_id = :job_id
               AND NOT (SELECT rejections_allowed FROM jobs WHERE id = :job_id)"""),
        {"job_id": job_id, "share": share, "least": least},
    ).scalar_one()
    return bool(too_many) and park(connection, job_id, TOO_MANY_REJECTIONS)
