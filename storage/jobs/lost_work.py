"""What the sweeper looks for, and the guarded writes that put it right.

A sweep closes no reservation: it brings work back or cancels, and completion
closes, so that a sweep and a late settling can never both release.
"""

from typing import NamedTuple

from sqlalchemy import Connection, text

from pricing.settlement import Outcome
from storage.held_jobs import stops_deadlines
from storage.jobs import job_control, jobs, outbox, outcomes
from storage.webhooks import events


class LapsedChunk(NamedTuple):
    """A chunk whose worker stopped renewing its lease."""

    id: int
    attempt: int
    job_id: str
    kind: str
    crashes: int
    input: str
    first_byte: int
    bytes: int
    first_line: int
    cursor: int
    stop: int
    is_in_doubt: bool
    """Whether something may have been sent of it, and it may still be concluded."""


_FENCE = """
id = :id AND attempt = :attempt AND state = 'running'
AND lease_until < clock_timestamp()
"""


def lapsed_chunks(connection: Connection, *, limit: int) -> list[LapsedChunk]:
    """Running chunks whose lease is over, and which their jobs still need."""
    rows = connection.execute(
        text("""
            SELECT c.id, c.attempt, c.job_id, j.kind, c.crashes, q.input, c.first_byte,
                   c.bytes, c.first_line, c.cursor, c.stop,
                   c.doubted_at IS NOT NULL
                     AND (c.conclude_at IS NULL
                          OR c.conclude_at > (SELECT holdfast_clock()))
              FROM chunks AS c JOIN jobs AS j ON j.id = c.job_id
              JOIN quotes AS q ON q.id = j.quote_id
             WHERE c.state = 'running' AND c.lease_until < clock_timestamp()
               AND (j.state <> 'cancelling' OR c.doubted_at IS NOT NULL)
             ORDER BY c.id LIMIT :limit"""),
        {"limit": limit},
    )
    return [LapsedChunk(*row) for row in rows]


def bring_back(connection: Connection, lapsed: LapsedChunk, *, delay_s: float) -> bool:
    """Count a crash and let another worker go on from the cursor."""
    moved = connection.execute(
        text(f"""
            UPDATE chunks
               SET state = 'pending', lease_until = NULL, owner = NULL,
                   crashes = crashes + 1, last_error = 'lease_lapsed',
                   run_at = clock_timestamp() + make_interval(secs => :delay_s)
             WHERE {_FENCE}"""),  # noqa: S608 - a constant
        {"id": lapsed.id, "attempt": lapsed.attempt, "delay_s": delay_s},
    )
    return moved.rowcount == 1


def conclude(connection: Connection, lapsed: LapsedChunk) -> bool:
    """Let what a record that keeps killing workers may have sent count as sent."""
    moved = connection.execute(
        text(f"""
            UPDATE chunks
               SET state = 'pending', lease_until = NULL, owner = NULL,
                   crashes = crashes + 1, last_error = 'lease_lapsed',
                   conclude_at = holdfast_clock(), run_at = clock_timestamp()
             WHERE {_FENCE}"""),  # noqa: S608 - a constant
        {"id": lapsed.id, "attempt": lapsed.attempt},
    )
    return moved.rowcount == 1


def split(connection: Connection, lapsed: LapsedChunk, *, crashes: int) -> bool:
    """Cut what is left of a chunk in two, each half with `crashes` to its name."""
    middle = (lapsed.cursor + lapsed.stop) // 2
    halved = connection.execute(
        text(f"""
            UPDATE chunks
               SET state = 'pending', lease_until = NULL, owner = NULL,
                   crashes = :crashes, last_error = 'lease_lapsed', stop = :middle,
                   run_at = clock_timestamp()
             WHERE {_FENCE}"""),  # noqa: S608 - a constant
        {
            "id": lapsed.id,
            "attempt": lapsed.attempt,
            "middle": middle,
            "crashes": crashes,
        },
    )
    if halved.rowcount == 0:
        return False
    connection.execute(
        text("""
            INSERT INTO chunks (job_id, first_byte, bytes, first_line, first, cursor,
                                stop, crashes, last_error, doubted_at, doubt_stop,
                                conclude_at)
            SELECT job_id, first_byte, bytes, first_line, :middle, :middle,
                   :stop, :crashes, 'lease_lapsed',
                   CASE WHEN doubt_stop > :middle THEN doubted_at END,
                   CASE WHEN doubt_stop > :middle THEN doubt_stop END,
                   CASE WHEN doubt_stop > :middle THEN conclude_at END
              FROM chunks WHERE id = :id"""),
        {**lapsed._asdict(), "middle": middle, "crashes": crashes},
    )
    connection.execute(
        text("UPDATE jobs SET open_chunks = open_chunks + 1 WHERE id = :job_id"),
        {"job_id": lapsed.job_id},
    )
    return True


def reject_crashing(
    connection: Connection,
    lapsed: LapsedChunk,
    record: outcomes.RecordOutcome,
) -> bool:
    """End a chunk of one record that keeps killing workers; the record is rejected."""
    ended = connection.execute(
        text(f"""
            UPDATE chunks
               SET state = 'done', cursor = stop, rejected = rejected + 1,
                   doubted_at = NULL, doubt_stop = NULL, conclude_at = NULL,
                   attempt = attempt + 1, lease_until = NULL, owner = NULL,
                   last_error = 'worker_crashed'
             WHERE {_FENCE} AND stop = cursor + 1"""),  # noqa: S608 - a constant
        {"id": lapsed.id, "attempt": lapsed.attempt},
    )
    if ended.rowcount == 0:
        return False
    assert record.outcome is Outcome.REJECTED  # noqa: S101 - the caller made it so
    outcomes.record(connection, lapsed.job_id, [record])
    jobs.close_chunks(connection, lapsed.job_id, 1)
    return True


def bring_back_entries(connection: Connection, *, delay_s: float) -> int:
    """Let outbox entries whose lease is over be tried again."""
    moved = connection.execute(
        text("""
            UPDATE outbox SET state = 'pending', lease_until = NULL, owner = NULL,
                   last_error = 'lease_lapsed',
                   run_at = clock_timestamp() + make_interval(secs => :delay_s)
             WHERE id IN (
               SELECT id FROM outbox
                WHERE state = 'running' AND lease_until < clock_timestamp()
                ORDER BY id FOR NO KEY UPDATE SKIP LOCKED)"""),
        {"delay_s": delay_s},
    )
    return moved.rowcount


def jobs_in(connection: Connection, state: str) -> list[str]:
    """The ids of the jobs in a state that a sweep looks after."""
    return list(
        connection.execute(
            text("""
                SELECT id FROM jobs WHERE finished_at IS NULL AND state = :state
                 ORDER BY created_at"""),
            {"state": state},
        ).scalars(),
    )


def overdue_jobs(connection: Connection) -> list[str]:
    """Jobs whose reservation's deadline has passed without progress.

    Without those that are held: it stands still meanwhile.
    """
    return list(
        connection.execute(
            text(f"""
                SELECT j.id FROM jobs AS j JOIN reservations AS r ON r.job_id = j.id
                 WHERE r.state = 'open'
                   AND r.deadline_at < (SELECT holdfast_confirmed_now())
                   AND j.state IN ('queued', 'running', 'pausing', 'paused')
                   AND NOT {stops_deadlines("j")}
                 ORDER BY j.id"""),  # noqa: S608 - constants only
        ).scalars(),
    )


def cancel_overdue(connection: Connection, job_id: str) -> bool:
    """Cancel a job whose reservation has expired, as a user would."""
    if job_control.cancel(connection, job_id) is not job_control.SteerResult.DONE:
        return False
    connection.execute(
        text("""
            UPDATE jobs SET error_code = 'reservation_expired',
                   error_detail = 'the reservation passed its deadline'
             WHERE id = :job_id"""),
        {"job_id": job_id},
    )
    events.reservation_expired(connection, job_id)
    return True


def unfinished_jobs(connection: Connection) -> list[str]:
    """Jobs that nothing would move any more: none should ever be found.

    Either nothing is left to run and no completion was queued, or a completion was
    asked for and is not in the outbox.
    """
    return list(
        connection.execute(
            text("""
                SELECT id FROM jobs
                 WHERE finished_at IS NULL AND open_chunks = 0
                   AND NOT EXISTS (SELECT 1 FROM outbox
                                    WHERE topic = :topic AND key = jobs.id)
                 ORDER BY id"""),
            {"topic": jobs.COMPLETE},
        ).scalars(),
    )


def queue_completion(connection: Connection, job_id: str) -> None:
    """Queue a completion that is missing."""
    jobs.finish_if_done(connection, job_id)
    if jobs.state_of(connection, job_id) == "finishing":
        outbox.put(connection, jobs.COMPLETE, job_id)
