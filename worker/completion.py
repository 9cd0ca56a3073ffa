"""Completion: seal the file, release the unused reservation, end the job. Once.

It is an outbox entry, taken under a lease. Sealing has no transaction open, and can
be repeated: it writes the same bytes again. The one transaction at the end is
fenced by the entry's attempt.
"""

import hashlib
import logging
from typing import BinaryIO

from pricing.plans import Item
from storage import chunks, jobs, ledger, outbox
from storage.artifacts import Draft, Written
from storage.errors import InvariantBroken, Superseded
from storage.jobs import Finished, Finishing
from storage.states import JobState
from worker.clock import Every
from worker.fates import Done, Fate, Never
from worker.files import columns_of, file_name, writer_of
from worker.wiring import Deps

log = logging.getLogger(__name__)

_COPY_BYTES = 1 << 20


def complete(deps: Deps, entry: outbox.Taken) -> Fate:
    """Complete the job that the entry names. Raises `Superseded` if fenced off."""
    with deps.database.transaction() as connection:
        job = jobs.finishing(connection, entry.key)
    leaves_file = job is not None and job.kind == "export" and job.keep_file
    sealed = _seal(deps, entry, job) if job and leaves_file else None
    with deps.database.transaction() as connection:
        if not outbox.done(connection, entry):
            raise Superseded(f"completion of {entry.key} is somebody else's")
        if job is None:
            return Never("it has ended")
        ledger.close(connection, job.id)
        jobs.end(connection, job.id, _finished(job, sealed))
    log.info("job %s has ended", job.id)
    return Done()


def _finished(job: Finishing, sealed: Written | None) -> Finished:
    state = job.ending or _state_of(job)
    if sealed is None:
        return Finished(state=state)
    return Finished(
        state=state,
        file_name=file_name(job.id, writer_of(job.export).extension),
        file_artifact=sealed.name,
        file_bytes=sealed.bytes,
        file_sha256=sealed.sha256,
    )


def _state_of(job: Finishing) -> JobState:
    if job.delivered + job.excluded == job.records:
        return JobState.SUCCEEDED
    return JobState.PARTIAL


def _seal(deps: Deps, entry: outbox.Taken, job: Finishing) -> Written:
    """Write head and parts into one file, checking each part as it goes by."""
    writer = writer_of(job.export)
    retrieve = [Item(item) for item in job.retrieve]
    with deps.database.transaction() as connection:
        parts = chunks.parts(connection, job.id)
    renewal = Every(deps.settings.lease_s / 3)
    name = f"jobs/{job.id}/{file_name(job.id, writer.extension)}"
    with deps.artifacts.create(name) as draft:
        draft.write(writer.head(columns_of(job.columns, retrieve)))
        for part in parts:
            if renewal.due():
                _renew(deps, entry)
            with deps.artifacts.open(part.name) as stream:
                _copy(stream, draft, part)
    return Written(name, draft.bytes, draft.sha256)


def _renew(deps: Deps, entry: outbox.Taken) -> None:
    with deps.database.transaction() as connection:
        if not outbox.renew(connection, entry, lease_s=deps.settings.lease_s):
            raise Superseded(f"completion of {entry.key} is somebody else's")


def _copy(stream: BinaryIO, draft: Draft, part: chunks.Part) -> None:
    digest = hashlib.sha256()
    size = 0
    while data := stream.read(_COPY_BYTES):
        digest.update(data)
        size += len(data)
        draft.write(data)
    if (size, digest.hexdigest()) != (part.bytes, part.sha256):
        raise InvariantBroken(f"{part.name} is not what its checkpoint recorded")
