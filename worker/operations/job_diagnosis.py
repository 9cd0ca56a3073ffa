"""Why a job does not run, in a sentence that says what would let it go on."""

from sqlalchemy import Connection, text

from storage.jobs import heartbeats
from storage.jobs.job_reports import JobReport
from storage.state_machine import ENDED, JobState
from worker.infrastructure.dependencies import Deps
from worker.infrastructure.settings import MISSED_REPORTS
from worker.operations import turn_order

_SENTENCES = {
    "paused": "Somebody has paused it; it goes on when it is resumed.",
    "all_paused": (
        "An operator has paused everything; it goes on when that is resumed, and its "
        "deadlines stand still."
    ),
    "license_paused": (
        "An operator has paused its license; it goes on when that is resumed, and its "
        "deadlines stand still."
    ),
    "connection_paused": (
        "An operator has paused its connection; it goes on when that is resumed, and "
        "its deadlines stand still."
    ),
    "provider_paused": (
        "It needs a provider that an operator has paused; it goes on when that is "
        "resumed, and its deadlines stand still."
    ),
    "too_many_rejections": (
        "It is parked: its CRM rejects too much of it. Resuming it lets it go on, "
        "however much is rejected."
    ),
    "needs_reconnect": (
        "It is parked: the CRM takes its connection's secrets no more. It goes on by "
        "itself once the connection works again."
    ),
}


def why_it_waits(deps: Deps, connection: Connection, job: JobReport) -> str | None:
    """The sentence; None of a job that runs, or has ended."""
    if job.state in ENDED:
        return None
    if job.state in {JobState.PAUSED, JobState.PAUSING}:
        return _SENTENCES.get(
            job.waiting_reason or "paused", f"It is paused: {job.waiting_reason}."
        )
    if job.state is JobState.FINISHING:
        return _why_unfinished(connection, job.id)
    if job.waiting_reason in _SENTENCES:
        return _SENTENCES[job.waiting_reason]
    within_s = deps.settings.report_interval_s * MISSED_REPORTS
    alive = heartbeats.alive(connection, within_s=within_s)
    if "worker" not in alive:
        return "No worker is alive: start one, or look why they end."
    if job.state is JobState.CANCELLING:
        return "It is being cancelled: batches that are under way end first."
    if job.waiting_reason is not None:
        until = f" until {job.waiting_until:%H:%M:%S} UTC" if job.waiting_until else ""
        return f"It waits: {job.waiting_reason.replace('_', ' ')}{until}."
    if "dispatcher" not in alive:
        return "No dispatcher is alive: nothing is handed to the workers."
    return _why_in_queue(deps, connection, job)


def _why_unfinished(connection: Connection, job_id: str) -> str | None:
    entry = connection.execute(
        text("""
            SELECT last_error, run_at FROM outbox
             WHERE topic = 'job.complete' AND key = :job_id AND state <> 'done'"""),
        {"job_id": job_id},
    ).one_or_none()
    if entry is None or entry.last_error is None:
        return None
    return (
        f"Its file could not be sealed ({entry.last_error}); it is tried again at "
        f"{entry.run_at:%H:%M:%S} UTC."
    )


def _why_in_queue(deps: Deps, connection: Connection, job: JobReport) -> str | None:
    flight, delayed, error = connection.execute(
        text("""
            SELECT count(*) FILTER (WHERE state IN ('dispatched', 'running')),
                   min(run_at) FILTER (WHERE state = 'pending'
                                         AND run_at > clock_timestamp()),
                   max(last_error) FILTER (WHERE state = 'pending')
              FROM chunks WHERE job_id = :job_id
               AND state IN ('pending', 'dispatched', 'running')"""),
        {"job_id": job.id},
    ).one()
    if flight:
        return None
    if delayed is not None:
        why = f" after {error}" if error else ""
        return f"It is tried again at {delayed:%H:%M:%S} UTC{why}."
    ahead = turn_order.waits_behind(deps, connection, job.id)
    if ahead:
        return f"It waits its turn behind {ahead} chunks of its license."
    return "It waits for a worker to be free."
