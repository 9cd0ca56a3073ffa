"""Completion: seal the file, release the unused reservation, end the job. Once.

It is an outbox entry, taken under a lease. Sealing has no transaction open, and can
be repeated: it writes the same bytes again. The one transaction at the end is
fenced by the entry's attempt.
"""

import logging
from functools import partial

from storage.errors import Conflict, Superseded
from storage.jobs import given_up_jobs, jobs, outbox
from storage.jobs.jobs import Finished, Finishing
from storage.ledger import release
from storage.state_machine import JobState
from worker.infrastructure.task_results import Done, Never, TaskResult
from worker.infrastructure.telemetry import traces
from worker.jobs.delivery import JobDeps, SealedFile

log = logging.getLogger(__name__)

_ERASED = (
    "a person whom it had delivered was erased, so it left no file; all charges were "
    "refunded, and the job can be retried"
)


def complete(deps: JobDeps, entry: outbox.Taken) -> TaskResult:
    """Complete the job that the entry names. Raises `Superseded` if fenced off."""
    with deps.database.reading() as connection:
        job = jobs.finishing(connection, entry.key)
    if job is None:
        return _end(deps, entry, None, None)
    with traces.span("complete", parent=job.traceparent, job=job.id):
        sealed = None
        if job.keep_file:
            with traces.span("seal"):
                renew = partial(_renew, deps, entry)
                sealed = deps.kinds[job.kind].seal(deps, job, renew)
        return _end(deps, entry, job, sealed)


def _end(
    deps: JobDeps, entry: outbox.Taken, job: Finishing | None, sealed: SealedFile | None
) -> TaskResult:
    """End a job with its file, in the transaction that the entry fences."""
    with deps.database.transaction() as connection:
        if not outbox.done(connection, entry):
            raise Superseded(f"completion of {entry.key} is somebody else's")
        if job is None:
            return Never("it has ended")
        deps.kinds[job.kind].forget(connection, job.id)
        if deps.kinds[job.kind].leaves_file and not job.keep_file:
            given_up_jobs.end_without_file(
                connection, job.id, reason="the job left no file", detail=_ERASED
            )
        else:
            if not jobs.end(connection, job.id, _finished(job, sealed)):
                raise Conflict(
                    f"{job.id} had ended, or somebody in it was erased meanwhile"
                )
            # Last: all of a license wait for the lock of its period.
            release.close(connection, job.id)
    log.info("job %s has ended", job.id)
    return Done()


def _finished(job: Finishing, sealed: SealedFile | None) -> Finished:
    state = job.ending or _state_of(job)
    if sealed is None:
        return Finished(state=state)
    return Finished(
        state=state,
        file_name=sealed.file_name,
        file_artifact=sealed.written.name,
        file_bytes=sealed.written.bytes,
        file_sha256=sealed.written.sha256,
    )


def _state_of(job: Finishing) -> JobState:
    if job.delivered + job.excluded == job.records:
        return JobState.SUCCEEDED
    return JobState.PARTIAL


def _renew(deps: JobDeps, entry: outbox.Taken) -> None:
    with deps.database.transaction() as connection:
        if not outbox.renew(connection, entry, lease_s=deps.settings.lease_s):
            raise Superseded(f"completion of {entry.key} is somebody else's")
