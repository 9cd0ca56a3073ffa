"""The retry of an ended job: its rejected and unreached records, as a new job."""

from collections.abc import Iterator

from sqlalchemy import Connection

from storage.jobs import jobs, outcomes
from storage.licenses.idempotency_keys import Once
from storage.operations import action_log
from storage.operations.action_log import Acting, Target
from storage.quotes import quotes
from storage.state_machine import ENDED, JobState
from worker.infrastructure.errors import Code, Refused
from worker.jobs import submission
from worker.jobs.delivery import JobDeps, RetryChanges
from worker.quotes.decided_records import Decided
from worker.quotes.priced_records import PricedRecord, read_all

_RETRIED = ENDED - {JobState.SUCCEEDED}
_AS_IT_WAS = RetryChanges()


def retry(
    deps: JobDeps,
    job_id: str,
    *,
    max_credits: int | None = None,
    changes: RetryChanges = _AS_IT_WAS,
    by: Acting | None = None,
) -> str:
    """Try the rejected and unreached records of an ended job again, as a new job.

    They keep their numbers, and what their quote has decided of them: at the terms of
    that quote they cost at most what they would have cost. A job is retried once: the
    same again answers the job that the first made. Who asks, and why, is noted with the
    new job.
    """
    with deps.database.transaction() as connection:
        made = jobs.retried_by(connection, job_id)
        state = jobs.state_of(connection, job_id)
        stored = quotes.of_job(connection, job_id)
        settled = outcomes.settled_records(connection, job_id)
        line = jobs.line_of(connection, job_id)
    if made is not None:
        return made
    if stored is None:
        raise Refused(Code.NOT_FOUND, f"there is no job {job_id}")
    if state not in _RETRIED or len(settled) == stored.quote.records:
        raise Refused(
            Code.WRONG_STATE, f"{job_id} is {state}: nothing is to be retried"
        )
    if stored.input.name is None:
        detail = f"the records of {job_id} have been removed: send them again"
        raise Refused(Code.WRONG_STATE, detail)
    request = stored.request
    try:
        return submission.submit_at_once(
            deps,
            deps.kinds[request.kind].retried(deps, request, changes),
            Decided(
                columns=stored.input.columns,
                rows=_left(deps, stored.input.name, settled),
                terms=stored.quote.terms,
                job_ids=line,
            ),
            max_credits=max_credits,
            retry_of=job_id,
            once=None if by is None else _noted(by, job_id, request.license_id),
        )
    except jobs.AlreadyRetried:
        return _made_meanwhile(deps, job_id)


def _noted(by: Acting, job_id: str, license_id: str) -> Once:
    target = Target("job", job_id, license_id)

    def note(connection: Connection, _: str) -> None:
        action_log.note(connection, by, "retry", target)

    return note


def _made_meanwhile(deps: JobDeps, job_id: str) -> str:
    with deps.database.transaction() as connection:
        made = jobs.retried_by(connection, job_id)
    if made is None:
        raise Refused(Code.UNAVAILABLE, f"{job_id} is being retried: try again")
    return made


def _left(deps: JobDeps, name: str, settled: set[int]) -> Iterator[PricedRecord]:
    """The records of a job's input that have not been delivered or excluded."""
    for records in read_all(deps.artifacts, name):
        for priced in records.each():
            if priced.record.number not in settled:
                yield priced
