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
from storage.quotes.quotes import StoredQuote
from storage.state_machine import JobState
from storage.webhooks import events

COMPLETE = "job.complete"
"""The outbox topic under which a job's completion is queued, once."""

GIVEN_UP = "given_up"
"""The error code of a job that an operator has given up."""


class AlreadyRetried(StorageError):
    """Another has retried the same job at this moment."""


_CREATE = text("""
INSERT INTO jobs (id, quote_id, license_id, user_id, kind, name, retry_of, records,
                  open_chunks, created_at)
VALUES (:id, :quote_id, :license_id, :user_id, :kind, :name, :retry_of, :records,
        :open_chunks, holdfast_now())
""")

_CUT = text("""
INSERT INTO chunks (job_id, first_byte, bytes, first_line, first, cursor, stop)
SELECT :job_id, first_byte, bytes, first, first, first, first + records
  FROM (SELECT (slice ->> 0)::bigint AS first_byte, (slice ->> 1)::bigint AS bytes,
               (slice ->> 2)::integer AS records,
               (sum((slice ->> 2)::integer) OVER (ORDER BY number)
                - (slice ->> 2)::integer)::integer AS first
          FROM quotes, jsonb_array_elements(slices)
               WITH ORDINALITY AS s (slice, number)
         WHERE quotes.id = :quote_id) AS cut
 ORDER BY first
""")


def create(
    connection: Connection,
    job_id: str,
    stored: StoredQuote,
    *,
    name: str | None,
    retry_of: str | None = None,
) -> None:
    """Make the job of a quote, and its chunks; its reservation must be there."""
    parameters = {
        "id": job_id,
        "quote_id": stored.id,
        "license_id": stored.request.license_id,
        "user_id": stored.request.user_id,
        "kind": stored.request.kind,
        "name": name,
        "retry_of": retry_of,
        "records": stored.quote.records,
        "open_chunks": len(stored.input.slices),
    }
    try:
        connection.execute(_CREATE, parameters)
    except IntegrityError as error:
        if is_violation(error, "jobs_retry_of_key"):
            raise AlreadyRetried(f"{retry_of} has been retried") from error
        raise
    connection.execute(_CUT, {"job_id": job_id, "quote_id": stored.id})
    finish_if_done(connection, job_id)


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


def close_chunks(connection: Connection, job_id: str, count: int) -> bool:
    """Take chunks that ended off the job's count; True where none is left."""
    if count:
        connection.execute(
            text("UPDATE jobs SET open_chunks = open_chunks - :n WHERE id = :job_id"),
            {"n": count, "job_id": job_id},
        )
    return finish_if_done(connection, job_id)


def start(connection: Connection, job_id: str) -> None:
    """Mark a queued job as running; a worker took one of its chunks."""
    connection.execute(
        text("""
            UPDATE jobs SET state = 'running',
                   started_at = coalesce(started_at, holdfast_now())
             WHERE id = :job_id AND state = 'queued'"""),
        {"job_id": job_id},
    )


def of_quote(connection: Connection, quote_id: str) -> str | None:
    """The id of the job that a quote has made, if it has made one."""
    return connection.execute(
        text("SELECT id FROM jobs WHERE quote_id = :quote_id"),
        {"quote_id": quote_id},
    ).scalar_one_or_none()


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


def end(connection: Connection, job_id: str, finished: Finished) -> bool:
    """End a finishing job; False where it has ended already.

    Its file is let go where somebody in it was erased while it was sealed.
    """
    row = connection.execute(
        text("""
            UPDATE jobs SET state = :state, finished_at = holdfast_now(),
                   file_name = :file_name,
                   file_artifact = CASE WHEN keep_file THEN :file_artifact END,
                   file_bytes = :file_bytes, file_sha256 = :file_sha256,
                   error_code = coalesce(CAST(:error_code AS text), error_code),
                   error_detail = coalesce(CAST(:error_detail AS text), error_detail),
                   waiting_reason = NULL, waiting_until = NULL
             WHERE id = :job_id AND state = 'finishing'
            RETURNING license_id, keep_file"""),
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
    if finished.file_artifact is not None and not row.keep_file:
        pending_removals.mark(
            connection, [finished.file_artifact, manifest_name(job_id)]
        )
    events.job_finished(connection, job_id, row.license_id)
    return True


def keeps_file(connection: Connection, job_id: str) -> bool:
    """Whether nobody in what a job delivered was erased while it was under way."""
    found = connection.execute(
        text("SELECT keep_file FROM jobs WHERE id = :job_id"), {"job_id": job_id}
    )
    return bool(found.scalar_one())


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


def finishing(connection: Connection, job_id: str) -> Finishing | None:
    """The job to complete; None where it has ended already."""
    row = (
        connection.execute(
            text("""
            SELECT j.id, j.kind, j.ending, j.records, j.keep_file, j.created_at,
                   q.columns, q.retrieve, q.export,
                   (SELECT coalesce(sum(delivered), 0) FROM chunks
                     WHERE job_id = j.id) AS delivered,
                   (SELECT coalesce(sum(excluded), 0) FROM chunks
                     WHERE job_id = j.id) AS excluded,
                   (SELECT coalesce(sum(rejected), 0) FROM chunks
                     WHERE job_id = j.id) AS rejected
              FROM jobs AS j JOIN quotes AS q ON q.id = j.quote_id
             WHERE j.id = :job_id AND j.state = 'finishing'"""),
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
