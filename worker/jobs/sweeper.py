"""The sweeper: brings back what a crash or a long pause left behind.

Each sweep looks, decides by a pure function, and writes under a guard, in short
transactions of their own. It closes no reservation: it brings work back or cancels,
and completion closes. What the broker has lost is found by `lost_messages`.
"""

import logging
from enum import StrEnum

from pricing.settlement import Outcome
from storage.errors import ArtifactError
from storage.jobs import heartbeats, job_control, lost_work
from storage.jobs.lost_work import LapsedChunk
from storage.jobs.outcomes import RecordOutcome
from storage.ledger import periods
from storage.licenses import idempotency_keys
from storage.operations import chore_runs
from storage.state_machine import JobState
from worker.findings import provider_reports
from worker.infrastructure.errors import log_and_go_on
from worker.infrastructure.retry_policy import backoff_s
from worker.infrastructure.settings import Settings
from worker.infrastructure.telemetry import log_context, metric_families
from worker.infrastructure.telemetry.counters import COUNTERS
from worker.jobs.delivery import JobDeps
from worker.quotes.chunk_slices import read_slice

log = logging.getLogger(__name__)

WORKER_CRASHED = "worker_crashed"
"""The code of a record that is rejected because it keeps killing workers."""

SWEEP = "sweep"
"""Under this name it is noted when the last one was."""

_LIMIT = 200
_SILENT_S = 3600.0


class Rescue(StrEnum):
    """What to do with a chunk whose worker is gone."""

    BRING_BACK = "bring_back"
    SPLIT = "split"
    CONCLUDE = "conclude"
    REJECT = "reject"


def decide(lapsed: LapsedChunk, crashes_max: int) -> Rescue:
    """Bring it back, until it has crashed too often: then narrow it down."""
    if lapsed.crashes + 1 < crashes_max:
        return Rescue.BRING_BACK
    if lapsed.stop - lapsed.cursor > 1:
        return Rescue.SPLIT
    return Rescue.CONCLUDE if lapsed.is_in_doubt else Rescue.REJECT


def sweep(deps: JobDeps) -> None:
    """Do all sweeps once; one that fails is logged and stops none of the others."""
    steps = (
        _rescue_chunks,
        _bring_back,
        _move_jobs,
        _end_periods,
        provider_reports.expire,
        _note,
    )
    for step in steps:
        with log_and_go_on():
            step(deps)
    COUNTERS.add(metric_families.SWEEPS)


def _note(deps: JobDeps) -> None:
    with deps.database.transaction() as connection:
        chore_runs.note(connection, SWEEP)


def _bring_back(deps: JobDeps) -> None:
    settings = deps.settings
    with deps.database.transaction() as connection:
        entries = lost_work.bring_back_entries(
            connection, delay_s=settings.retry_base_s
        )
        heartbeats.forget_silent(connection, after_s=_SILENT_S)
        idempotency_keys.forget(connection, after_s=settings.request_kept_s)
    COUNTERS.add(metric_families.LEASES_EXPIRED, "entry", by=entries)


def _end_periods(deps: JobDeps) -> None:
    with deps.database.transaction() as connection:
        ended = periods.end(connection)
    if ended:
        log.info("%s periods have ended", ended)


def _rescue_chunks(deps: JobDeps) -> None:
    with deps.database.transaction() as connection:
        lapsed = lost_work.lapsed_chunks(connection, limit=_LIMIT)
    for chunk in lapsed:
        with log_and_go_on():
            _rescue(deps, chunk)


def _rescue(deps: JobDeps, chunk: LapsedChunk) -> None:
    with log_context.bound(chunk=chunk.id, attempt=chunk.attempt, job=chunk.job_id):
        rescue = decide(chunk, deps.settings.crashes_max)
        log.warning("the worker of chunk %s is gone: %s", chunk.id, rescue)
        if _RESCUES[rescue](deps, chunk):
            COUNTERS.add(metric_families.LEASES_EXPIRED, "chunk")


def _let_go_on(deps: JobDeps, chunk: LapsedChunk) -> bool:
    delay_s = _delay_s(deps.settings, chunk)
    with deps.database.transaction() as connection:
        return lost_work.bring_back(connection, chunk, delay_s=delay_s)


def _delay_s(settings: Settings, chunk: LapsedChunk) -> float:
    """The first crash is most often a deployment: go on at once."""
    if chunk.crashes == 0:
        return 0
    return backoff_s(
        chunk.crashes - 1, base_s=settings.retry_base_s, max_s=settings.retry_max_s
    )


def _split(deps: JobDeps, chunk: LapsedChunk) -> bool:
    """Halve it. One more crash halves again, but a single record has all its tries."""
    left = chunk.stop - chunk.cursor
    crashes = deps.settings.crashes_max - 1 if left > 3 else 0  # noqa: PLR2004 - halves of 2 or 3 hold a single record
    with deps.database.transaction() as connection:
        return lost_work.split(connection, chunk, crashes=crashes)


def _conclude(deps: JobDeps, chunk: LapsedChunk) -> bool:
    with deps.database.transaction() as connection:
        return lost_work.conclude(connection, chunk)


def _reject(deps: JobDeps, chunk: LapsedChunk) -> bool:
    try:
        records = read_slice(
            deps.artifacts, chunk.input, first_byte=chunk.first_byte, size=chunk.bytes
        )
    except ArtifactError as error:
        log.warning("chunk %s cannot be looked into: %s", chunk.id, error)
        return False
    at = chunk.cursor - chunk.first_line
    priced = next(records.part(at, at + 1).each(), None)
    if priced is None:
        log.critical("%s has fewer records than it was written with", chunk.input)
        return False
    record = priced.record
    rejected = RecordOutcome(
        record=record.number,
        company_id=record.company_id,
        person_id=record.person_id,
        outcome=Outcome.REJECTED,
        code=WORKER_CRASHED,
        message="this record ended the worker each time it was tried",
    )
    with deps.database.transaction() as connection:
        ended = lost_work.reject_crashing(connection, chunk, rejected)
    COUNTERS.add(metric_families.RECORDS, chunk.kind, "rejected", by=ended)
    return ended


_RESCUES = {
    Rescue.BRING_BACK: _let_go_on,
    Rescue.SPLIT: _split,
    Rescue.CONCLUDE: _conclude,
    Rescue.REJECT: _reject,
}
"""What each does; whether the chunk was still there to be rescued."""


def _move_jobs(deps: JobDeps) -> None:
    """Move jobs that wait for something which has happened, or never will."""
    with deps.database.transaction() as connection:
        overdue = lost_work.overdue_jobs(connection)
        pausing = lost_work.jobs_in(connection, JobState.PAUSING)
        unfinished = lost_work.unfinished_jobs(connection)
    for job_id in overdue:
        with log_and_go_on(), deps.database.transaction() as connection:
            lost_work.cancel_overdue(connection, job_id)
    with deps.database.transaction() as connection:
        cancelling = lost_work.jobs_in(connection, JobState.CANCELLING)
    for job_id in cancelling:
        with log_and_go_on(), deps.database.transaction() as connection:
            job_control.stop_idle_chunks(
                connection, job_id, doubt_s=deps.settings.push_doubt_s
            )
    for job_id in pausing:
        with log_and_go_on(), deps.database.transaction() as connection:
            job_control.come_to_rest(connection, job_id)
    for job_id in unfinished:
        log.critical("job %s had been left behind; its completion is queued", job_id)
        with deps.database.transaction() as connection:
            lost_work.queue_completion(connection, job_id)
