"""What people ask of a job that is under way: cancel, pause, resume.

Each is one guarded UPDATE. What runs ends its batch first; the same again changes
nothing.
"""

from enum import StrEnum

from sqlalchemy import Connection, text

from storage.jobs.jobs import close_chunks, finish_if_done, state_of
from storage.state_machine import JobState

TOO_MANY_REJECTIONS = "too_many_rejections"
"""Why a job waits of which a CRM has rejected too much."""

_DOUBT_S = 24 * 3_600.0

NEEDS_RECONNECT = "needs_reconnect"
"""Why a job waits whose CRM takes the connection's secrets no more."""


class SteerResult(StrEnum):
    """What became of a verb."""

    DONE = "done"
    ALREADY = "already"
    WRONG_STATE = "wrong_state"
    NOT_FOUND = "not_found"
    NEEDS_A_PERSON = "needs_a_person"
    """A second person has to approve it, and the first one is not known."""


def _unless(
    connection: Connection, job_id: str, already: frozenset[JobState]
) -> SteerResult:
    """Why a verb moved nothing."""
    state = state_of(connection, job_id)
    if state is None:
        return SteerResult.NOT_FOUND
    return SteerResult.ALREADY if state in already else SteerResult.WRONG_STATE


def cancel(connection: Connection, job_id: str) -> SteerResult:
    """Ask a job to stop; what runs ends its batch, what was settled stays settled.

    `stop_idle_chunks` must follow, in a transaction of its own: chunks are locked
    before their job, never after.
    """
    moved = connection.execute(
        text("""
            UPDATE jobs SET state = 'cancelling', ending = 'cancelled'
             WHERE id = :job_id
               AND state IN ('queued', 'running', 'pausing', 'paused')"""),
        {"job_id": job_id},
    )
    if moved.rowcount == 1:
        return SteerResult.DONE
    # Its ending is cancelled while it is being finished, and after.
    asked_before = connection.execute(
        text("SELECT 1 FROM jobs WHERE id = :job_id AND ending = 'cancelled'"),
        {"job_id": job_id},
    ).one_or_none()
    if asked_before is not None:
        return SteerResult.ALREADY
    return _unless(
        connection, job_id, frozenset({JobState.CANCELLING, JobState.CANCELLED})
    )


def pause(connection: Connection, job_id: str) -> SteerResult:
    """Ask a job to pause; `come_to_rest` must follow, once no chunk runs.

    One that is parked, and would go on by itself, stays where it is.
    """
    moved = connection.execute(
        text("""
            UPDATE jobs SET waiting_reason = 'paused', waiting_until = NULL,
                   state = CASE state WHEN 'queued' THEN 'paused'
                                      WHEN 'running' THEN 'pausing' ELSE state END
             WHERE id = :job_id
               AND (state IN ('queued', 'running')
                 OR (state IN ('pausing', 'paused') AND waiting_reason = :parked))"""),
        {"job_id": job_id, "parked": NEEDS_RECONNECT},
    )
    if moved.rowcount == 1:
        return SteerResult.DONE
    return _unless(connection, job_id, frozenset({JobState.PAUSING, JobState.PAUSED}))


def resume(connection: Connection, job_id: str) -> SteerResult:
    """Let a paused job go on; one with too many rejections, however many follow."""
    moved = connection.execute(
        text("""
            UPDATE jobs SET waiting_reason = NULL, waiting_until = NULL,
                   rejections_allowed = rejections_allowed
                     OR waiting_reason IS NOT DISTINCT FROM :rejections,
                   state = CASE state WHEN 'paused' THEN 'queued' ELSE 'running' END
             WHERE id = :job_id AND state IN ('pausing', 'paused')"""),
        {"job_id": job_id, "rejections": TOO_MANY_REJECTIONS},
    )
    if moved.rowcount == 1:
        return SteerResult.DONE
    return _unless(connection, job_id, frozenset({JobState.QUEUED, JobState.RUNNING}))


def stop_idle_chunks(
    connection: Connection, job_id: str, *, doubt_s: float = _DOUBT_S
) -> int:
    """Take a cancelling job's chunks that nobody runs out of the work.

    A lapsed lease counts as nobody: the new attempt fences the worker off. What is in
    doubt is left to be found out, for `doubt_s` from now on.
    """
    connection.execute(
        text("""
            UPDATE chunks
               SET conclude_at = holdfast_clock() + make_interval(secs => :doubt_s)
             WHERE id IN (
               SELECT chunks.id FROM chunks JOIN jobs ON jobs.id = chunks.job_id
                WHERE chunks.job_id = :job_id AND jobs.state = 'cancelling'
                  AND chunks.doubted_at IS NOT NULL AND chunks.conclude_at IS NULL
                ORDER BY chunks.id FOR NO KEY UPDATE OF chunks)"""),
        {"job_id": job_id, "doubt_s": doubt_s},
    )
    stopped = connection.execute(
        text("""
            UPDATE chunks SET state = 'cancelled', attempt = attempt + 1,
                   doubted_at = NULL, doubt_stop = NULL,
                   lease_until = NULL, owner = NULL
             WHERE id IN (
               SELECT chunks.id FROM chunks JOIN jobs ON jobs.id = chunks.job_id
                WHERE chunks.job_id = :job_id AND jobs.state = 'cancelling'
                  AND chunks.doubted_at IS NULL
                  AND (chunks.state IN ('pending', 'dispatched')
                    OR (chunks.state = 'running'
                        AND chunks.lease_until < clock_timestamp()))
                ORDER BY chunks.id FOR NO KEY UPDATE OF chunks)"""),
        {"job_id": job_id},
    )
    if stopped.rowcount:
        close_chunks(connection, job_id, stopped.rowcount)
    else:
        finish_if_done(connection, job_id)
    return stopped.rowcount


def come_to_rest(connection: Connection, job_id: str) -> bool:
    """Turn a pausing job into a paused one once none of its chunks runs."""
    moved = connection.execute(
        text("""
            UPDATE jobs SET state = 'paused'
             WHERE id = :job_id AND state = 'pausing'
               AND NOT EXISTS (SELECT 1 FROM chunks
                                WHERE job_id = :job_id AND state = 'running')"""),
        {"job_id": job_id},
    )
    return moved.rowcount == 1
