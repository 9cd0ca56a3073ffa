"""The jobs that one verb is asked of together: those that it fits, of those wanted."""

from enum import StrEnum

from sqlalchemy import Connection, text

from storage.jobs import job_reports, jobs
from storage.jobs.job_reports import WantedJobs


class BulkVerb(StrEnum):
    """What can be asked of many jobs."""

    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"
    RETRY = "retry"
    GIVE_UP = "give_up"


# A job that is about to be sealed as it should is given up by nobody who asks for many.
_FITS = {
    BulkVerb.PAUSE: "j.state IN ('queued', 'running')",
    BulkVerb.RESUME: "j.state IN ('pausing', 'paused')",
    BulkVerb.CANCEL: "j.state IN ('queued', 'running', 'pausing', 'paused')",
    BulkVerb.RETRY: """
        j.state IN ('partial', 'failed', 'cancelled') AND NOT EXISTS (
          SELECT FROM jobs AS other WHERE other.retry_of = j.id)""",
    BulkVerb.GIVE_UP: f"""
        j.state = 'finishing' AND EXISTS (
          SELECT FROM outbox AS o
           WHERE o.topic = '{jobs.COMPLETE}' AND o.key = j.id AND o.state <> 'done'
             AND o.last_error IS NOT NULL)""",
}
_ENDS = {verb: "NOT NULL" if verb is BulkVerb.RETRY else "NULL" for verb in BulkVerb}


def count(connection: Connection, verb: BulkVerb, wanted: WantedJobs) -> int:
    """How many of the jobs that are wanted a verb fits now."""
    found = job_reports.where(connection, wanted)
    number: int = connection.execute(
        text(f"""
            SELECT count(*) FROM jobs AS j
             WHERE {found.sql} AND j.finished_at IS {_ENDS[verb]}
               AND {_FITS[verb]}"""),  # noqa: S608 - constants
        found.parameters,
    ).scalar_one()
    return number


def ids(
    connection: Connection, verb: BulkVerb, wanted: WantedJobs, *, limit: int
) -> list[str]:
    """Those jobs, the oldest first."""
    found = job_reports.where(connection, wanted)
    rows = connection.execute(
        text(f"""
            SELECT j.id FROM jobs AS j
             WHERE {found.sql} AND j.finished_at IS {_ENDS[verb]}
               AND {_FITS[verb]}
             ORDER BY j.created_at, j.id LIMIT :limit"""),  # noqa: S608 - constants
        {**found.parameters, "limit": limit},
    )
    return list(rows.scalars())
