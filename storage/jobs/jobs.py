"""Jobs: made from a quote, moved along their edges, ended once.

Each edge is one guarded UPDATE; a function says whether it was this call that
moved the job. What a job still has to run is counted in `open_chunks`, and whoever
brings that to zero puts its completion into the outbox, in the same transaction.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError

from storage.errors import StorageError, is_violation
from storage.files import pending_removals
from storage.jobs import outbox
from storage.ledger import reservations
from storage.ledger.reservations import ReserveResult
from storage.quotes.quotes import StoredQuote
from storage.state_machine import JobState
from storage.webhooks import events

COMPLETE = "job.complete"
"""The outbox topic under which a job's completion is queued, once."""

GIVEN_UP = "given_up"
"""The error code of a job that an operator has given up."""


class AlreadyRetried(StorageError):
    """Another has retried the same job at this moment."""


_CREATE = reservations.reserving("""
made AS (
  INSERT INTO jobs (id, quote_id, license_id, user_id, kind, name, retry_of, records,
                    open_chunks, created_at, traceparent)
  SELECT :job_id, :quote_id, :license_id, :user_id, :kind, :name, :retry_of, :records,
         :open_chunks, holdfast_now(), :traceparent
    FROM reservation),
cut AS (
  INSERT INTO chunks (job_id, first_byte, bytes, first_line, first, cursor, stop)
  SELECT :job_id, first_byte, bytes, first, first, first, first + records
    FROM reservation,
         (SELECT (slice ->> 0)::bigint AS first_byte, (slice ->> 1)::bigint AS bytes,
                 (slice ->> 2)::integer AS records,
                 (sum((slice ->> 2)::integer) OVER (ORDER BY number)
                  - (slice ->> 2)::integer)::integer AS first
            FROM quotes, jsonb_array_elements(slices)
                 WITH ORDINALITY AS s (slice, number)
           WHERE quotes.id = :quote_id) AS cut
   ORDER BY first)
""")


def create(
    connection: Connection,
    job_id: str,
    stored: StoredQuote,
    *,
    name: str | None,
    retry_of: str | None = None,
    lifetime_s: float,
    low_share: float = 0,
    traceparent: str | None = None,
) -> ReserveResult:
    """Reserve a quote's credits and make its job and its chunks: all, or nothing.

    The quote must have been put. What it returns and what the last two mean is said
    at `reserve`.
    """
    try:
        result = reservations.reserve(
            connection,
            stored.request.license_id,
            job_id,
            stored.quote.max_credits,
            lifetime_s=lifetime_s,
            low_share=low_share,
            by=_CREATE,
            quote_id=stored.id,
            user_id=stored.request.user_id,
            kind=stored.request.kind,
            name=name,
            retry_of=retry_of,
            records=stored.quote.records,
            open_chunks=len(stored.input.slices),
            traceparent=traceparent,
        )
    except IntegrityError as error:
        if is_violation(error, "jobs_retry_of_key"):
            raise AlreadyRetried(f"{retry_of} has been retried") from error
        raise
    if result.is_created and not stored.input.slices:
        finish_if_done(connection, job_id)
    return result


def finish_if_done(connection: Connection, job_id: str) -> bool:
    """Queue the completion of a job that has nothing left to run."""
    moved = connection.execute(
        text("""
            UPDATE jobs SET state = 'finishing', waiting_reason = NULL,
                   waiting_until = NULL
             WHERE id = :job_id AND open_chunks = 0
               AND state IN ('queued', 'running', 'pausing', 'paused',
                             'cancelling')"""),
        {"job_id": job_id},
    )
    if moved.rowcount == 0:
        return False
    outbox.put(connection, COMPLETE, job_id)
    return True


_ENDS = """
open_chunks = :count
AND state IN ('queued', 'running', 'pausing', 'paused', 'cancelling')
"""

_CLOSE_CHUNKS = text(f"""
WITH closed AS (
  UPDATE jobs
     SET open_chunks = open_chunks - :count,
         state = CASE WHEN {_ENDS} THEN 'finishing' ELSE state END,
         waiting_reason = CASE WHEN NOT ({_ENDS}) THEN waiting_reason END,
         waiting_until = CASE WHEN NOT ({_ENDS}) THEN waiting_until END
   WHERE id = :job_id
  RETURNING state, open_chunks),
queued AS (
  INSERT INTO outbox (topic, key)
  SELECT :topic, :job_id FROM closed WHERE open_chunks = 0 AND state = 'finishing'
  ON CONFLICT (topic, key) DO NOTHING)
SELECT state FROM closed
""")  # noqa: S608 - a constant


def close_chunks(connection: Connection, job_id: str, count: int) -> JobState:
    """Take chunks that ended off the job's count; how it stands then.

    Where none is left its completion is queued.
    """
    state = connection.execute(
        _CLOSE_CHUNKS, {"job_id": job_id, "count": count, "topic": COMPLETE}
    ).scalar_one()
    return JobState(state)


_OF_QUOTE = text("""
SELECT holdfast_now(), (SELECT id FROM jobs WHERE quote_id = :quote_id)
""")


def of_quote(connection: Connection, quote_id: str) -> tuple[datetime, str | None]:
    """What time it is, and the id of the job that a quote has made, if any."""
    now, made = connection.execute(_OF_QUOTE, {"quote_id": quote_id}).one()
    return now, made


def retried_by(connection: Connection, job_id: str) -> str | None:
    """The id of the job that retries this one, if there is one."""
    return connection.execute(
        text("SELECT id FROM jobs WHERE retry_of = :job_id"),
        {"job_id": job_id},
    ).scalar_one_or_none()


def line_of(connection: Connection, job_id: str) -> list[str]:
    """The ids of a job and of those before it, each of which retried the next."""
    rows = connection.execute(
        text("""
            WITH RECURSIVE line AS (
              SELECT id, retry_of, 1 AS place FROM jobs WHERE id = :job_id
              UNION ALL
              SELECT jobs.id, jobs.retry_of, place + 1
                FROM jobs JOIN line ON jobs.id = line.retry_of)
            SELECT id FROM line ORDER BY place"""),
        {"job_id": job_id},
    )
    return list(rows.scalars())


def license_of(connection: Connection, job_id: str) -> str | None:
    """Whose job it is, if it exists."""
    return connection.execute(
        text("SELECT license_id FROM jobs WHERE id = :job_id"),
        {"job_id": job_id},
    ).scalar_one_or_none()


def state_of(connection: Connection, job_id: str) -> JobState | None:
    """The job's state, if it exists."""
    state = connection.execute(
        text("SELECT state FROM jobs WHERE id = :job_id"),
        {"job_id": job_id},
    ).scalar_one_or_none()
    return None if state is None else JobState(state)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """How a job ends, and the file it leaves, if it leaves one."""

    state: JobState
    file_name: str | None = None
    file_artifact: str | None = None
    file_bytes: int | None = None
    file_sha256: str | None = None
    error_code: str | None = None
    error_detail: str | None = None


_END = text("""
UPDATE jobs SET state = :state, finished_at = holdfast_now(),
       file_name = :file_name,
       file_artifact = CASE WHEN keep_file THEN :file_artifact END,
       file_bytes = :file_bytes, file_sha256 = :file_sha256,
       error_code = coalesce(CAST(:error_code AS text), error_code),
       error_detail = coalesce(CAST(:error_detail AS text), error_detail),
       waiting_reason = NULL, waiting_until = NULL
 WHERE id = :job_id AND state = 'finishing'
RETURNING license_id, keep_file
""")


def end(connection: Connection, job_id: str, finished: Finished) -> bool:
    """End a finishing job; False where it had ended, or its file had to be let go.

    That is where somebody in the file was erased while it was sealed.
    """
    row = connection.execute(
        _END,
        {
            "job_id": job_id,
            "state": finished.state.value,
            "file_name": finished.file_name,
            "file_artifact": finished.file_artifact,
            "file_bytes": finished.file_bytes,
            "file_sha256": finished.file_sha256,
            "error_code": finished.error_code,
            "error_detail": finished.error_detail,
        },
    ).one_or_none()
    if row is None:
        return False
    events.job_finished(connection, job_id, row.license_id)
    if finished.file_artifact is None or row.keep_file:
        return True
    pending_removals.mark(connection, [finished.file_artifact, manifest_name(job_id)])
    return False


def manifest_name(job_id: str) -> str:
    """Where what is said of a job's file is kept, beside it."""
    return f"jobs/{job_id}/manifest.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finishing:
    """A job whose completion is under way, as completion needs to know it."""

    id: str
    kind: str
    ending: JobState | None
    records: int
    delivered: int
    excluded: int
    rejected: int
    columns: tuple[str, ...]
    retrieve: tuple[str, ...]
    export: dict[str, Any] | None
    keep_file: bool
    created_at: datetime
    traceparent: str | None


_FINISHING = text("""
SELECT j.id, j.kind, j.ending, j.records, j.keep_file, j.created_at, j.traceparent,
       q.columns, q.retrieve, q.export,
       (SELECT coalesce(sum(delivered), 0) FROM chunks
         WHERE job_id = j.id) AS delivered,
       (SELECT coalesce(sum(excluded), 0) FROM chunks
         WHERE job_id = j.id) AS excluded,
       (SELECT coalesce(sum(rejected), 0) FROM chunks
         WHERE job_id = j.id) AS rejected
  FROM jobs AS j JOIN quotes AS q ON q.id = j.quote_id
 WHERE j.id = :job_id AND j.state = 'finishing'
""")


def finishing(connection: Connection, job_id: str) -> Finishing | None:
    """The job to complete; None where it has ended already."""
    row = (
        connection.execute(
            _FINISHING,
            {"job_id": job_id},
        )
        .mappings()
        .one_or_none()
    )
    if row is None:
        return None
    return Finishing(
        **dict(row)
        | {
            "ending": JobState(row["ending"]) if row["ending"] else None,
            "columns": tuple(row["columns"]),
            "retrieve": tuple(row["retrieve"]),
        },
    )


def wait_for(
    connection: Connection,
    job_id: str,
    reason: str | None,
    delay_s: float = 0,
) -> None:
    """Show why a job does not go on, and until when; None where it goes on.

    A job that somebody pauses shows that, whatever else it would wait for.
    """
    connection.execute(
        text("""
            UPDATE jobs SET waiting_reason = :reason,
                   waiting_until = CASE WHEN CAST(:reason AS text) IS NOT NULL
                     THEN clock_timestamp() + make_interval(secs => :delay_s) END
             WHERE id = :job_id AND finished_at IS NULL
               AND state NOT IN ('pausing', 'paused')
               AND coalesce(waiting_reason, CAST(:reason AS text)) IS NOT NULL"""),
        {"job_id": job_id, "reason": reason, "delay_s": delay_s},
    )
