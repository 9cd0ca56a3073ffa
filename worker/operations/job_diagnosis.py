"""Why a job does not run, in a sentence that says what would let it go on."""

from typing import Any

from sqlalchemy import Connection, Row, text

from storage.connections import connections
from storage.jobs import heartbeats
from storage.jobs.job_control import TOO_MANY_REJECTIONS
from storage.jobs.job_reports import JobReport
from storage.operations import job_timeline, scope_pauses
from storage.operations.scope_pauses import ScopePause
from storage.pause_scope import PauseScope
from storage.state_machine import ENDED, JobState
from worker.infrastructure.dependencies import Deps
from worker.infrastructure.outbound_limits.pauses import (
    CONNECTION,
    DAILY_LIMIT,
    DOWN,
    MISCONFIGURED,
    OUT_OF_CREDITS,
    PROVIDER,
    RATE_LIMITED,
)
from worker.infrastructure.outbound_limits.standing_pauses import pauses_of
from worker.infrastructure.settings import MISSED_REPORTS
from worker.operations import turn_order

_HELD = {
    "all_paused": (PauseScope.EVERYTHING, "An operator has paused everything"),
    "license_paused": (PauseScope.LICENSE, "An operator has paused its license"),
    "connection_paused": (
        PauseScope.CONNECTION,
        "An operator has paused its connection",
    ),
    "provider_paused": (
        PauseScope.PROVIDER,
        "It needs a provider that an operator has paused",
    ),
}
_PARKED = {
    "too_many_rejections": (
        "It is parked: its CRM rejects too much of it{share}. Resuming it lets it go "
        "on, however much is rejected."
    ),
    "needs_reconnect": (
        "It is parked: the CRM takes its connection's secrets no more. It goes on by "
        "itself once the connection works again."
    ),
}
_ASKED = frozenset({RATE_LIMITED, DAILY_LIMIT, DOWN, OUT_OF_CREDITS, MISCONFIGURED})
"""Reasons that somebody gives who is asked: a provider, or a CRM."""


def why_it_waits(deps: Deps, connection: Connection, job: JobReport) -> str | None:
    """The sentence; None of a job that runs, or has ended."""
    if job.state in ENDED:
        return None
    if job.state in {JobState.PAUSED, JobState.PAUSING}:
        return _why_paused(connection, job)
    if job.state is JobState.FINISHING:
        return _why_unfinished(connection, job.id)
    if job.waiting_reason in _HELD:
        return _why_held(connection, job.id, job.waiting_reason)
    within_s = deps.settings.report_interval_s * MISSED_REPORTS
    alive = heartbeats.alive(connection, within_s=within_s)
    if "worker" not in alive:
        return "No worker is alive: start one, or look why they end."
    if job.state is JobState.CANCELLING:
        return "It is being cancelled: batches that are under way end first."
    if heartbeats.all_drain(connection, within_s=within_s) and not _runs(
        connection, job
    ):
        return (
            "All workers drain and take nothing more: start one, or let one work again."
        )
    if job.waiting_reason is not None:
        until = f" until {job.waiting_until:%H:%M:%S} UTC" if job.waiting_until else ""
        by = _by_whom(deps, connection, job)
        return f"It waits: {job.waiting_reason.replace('_', ' ')}{by}{until}."
    if "dispatcher" not in alive:
        return "No dispatcher is alive: nothing is handed to the workers."
    return _why_in_queue(deps, connection, job)


def _why_paused(connection: Connection, job: JobReport) -> str:
    reason = job.waiting_reason or "paused"
    if reason == "paused":
        return _why_paused_by_somebody(connection, job.id)
    sentence = _PARKED.get(reason, f"It is parked: {reason.replace('_', ' ')}.")
    share = ""
    if reason == TOO_MANY_REJECTIONS and job.rejected:
        tried = job.rejected + job.delivered
        share = f" ({100 * job.rejected / tried:.0f} % of {tried:,} tried)"
    return sentence.format(share=share)


def _why_paused_by_somebody(connection: Connection, job_id: str) -> str:
    entries = job_timeline.of_job(connection, job_id)
    found = next(
        (one for one in reversed(entries) if one.verb == "pause" and not one.of), None
    )
    if found is None:
        return "Somebody has paused it; it goes on when it is resumed."
    why = f": “{found.reason}”" if found.reason else ""
    return (
        f"Somebody has paused it ({found.actor}, {found.at:%Y-%m-%d %H:%M:%S} UTC"
        f"{why}); it goes on when it is resumed."
    )


def _why_held(connection: Connection, job_id: str, reason: str) -> str:
    scope, said = _HELD[reason]
    pauses = [
        one for one in scope_pauses.over_job(connection, job_id) if one.scope is scope
    ]
    told = "; ".join(map(_told_of, pauses))
    return (
        f"{said}{f' ({told})' if told else ''}; it goes on when that is resumed, and "
        "its deadlines stand still."
    )


def _told_of(pause: ScopePause) -> str:
    named = f"{pause.subject}, " if pause.scope is PauseScope.PROVIDER else ""
    return (
        f"{named}{pause.paused_by}, {pause.paused_at:%Y-%m-%d %H:%M:%S} UTC: "
        f"“{pause.reason}”"
    )


def _by_whom(deps: Deps, connection: Connection, job: JobReport) -> str:
    """Who is asked and has said so, as ` by hunter`; nothing where it is nobody."""
    if job.waiting_reason not in _ASKED:
        return ""
    crm = _crm_of(connection, job.id)
    url = deps.settings.limits_url
    rests = pauses_of(url, CONNECTION) or {}
    if crm is not None and (job.waiting_reason == DAILY_LIMIT or crm.id in rests):
        return f" by {crm.connector} ({crm.name})"
    resting = [
        name
        for name, pause in (pauses_of(url, PROVIDER) or {}).items()
        if pause.reason == job.waiting_reason
    ]
    if resting:
        return f" by {' and '.join(resting)}"
    return f" by {crm.connector} ({crm.name})" if crm is not None else " by a provider"


def _crm_of(connection: Connection, job_id: str) -> connections.CrmConnection | None:
    connection_id = connection.execute(
        text("""
            SELECT q.push ->> 'connection' FROM jobs AS j
              JOIN quotes AS q ON q.id = j.quote_id WHERE j.id = :job_id"""),
        {"job_id": job_id},
    ).scalar_one()
    return None if connection_id is None else connections.get(connection, connection_id)


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


def _runs(connection: Connection, job: JobReport) -> bool:
    return bool(_flight(connection, job.id).running)


def _flight(connection: Connection, job_id: str) -> Row[Any]:
    return connection.execute(
        text("""
            SELECT count(*) FILTER (WHERE state = 'running') AS running,
                   count(*) FILTER (WHERE state = 'dispatched') AS dispatched,
                   min(run_at) FILTER (WHERE state = 'pending'
                                         AND run_at > clock_timestamp()) AS delayed,
                   max(last_error) FILTER (WHERE state = 'pending') AS error
              FROM chunks WHERE job_id = :job_id
               AND state IN ('pending', 'dispatched', 'running')"""),
        {"job_id": job_id},
    ).one()


def _why_in_queue(deps: Deps, connection: Connection, job: JobReport) -> str | None:
    flight = _flight(connection, job.id)
    if flight.running:
        return None
    if flight.dispatched:
        return _why_in_broker(connection, job, flight.dispatched)
    if flight.delayed is not None:
        why = f" after {flight.error}" if flight.error else ""
        return f"It is tried again at {flight.delayed:%H:%M:%S} UTC{why}."
    ahead = turn_order.waits_behind(deps, connection, job.id)
    if ahead:
        return f"It waits its turn behind {ahead} chunks of its license."
    return "It waits for a worker to be free."


def _why_in_broker(connection: Connection, job: JobReport, dispatched: int) -> str:
    """What the workers are at, while chunks of a job lie in the broker.

    Whose the others are is told to nobody: this one may be another's customer.
    """
    running, own = connection.execute(
        text("""
            SELECT count(*), count(*) FILTER (WHERE j.license_id = :license_id)
              FROM chunks AS c JOIN jobs AS j ON j.id = c.job_id
             WHERE c.state = 'running'"""),
        {"license_id": job.license_id},
    ).one()
    lie = "lies" if dispatched == 1 else "lie"
    said = f"{_chunks(dispatched)} of it {lie} in the broker"
    if not running:
        return f"{said}, and no worker has anything else in hand: one takes it at once."
    return (
        f"{said} until a worker is free: {_chunks(running)} "
        f"{'runs' if running == 1 else 'run'} just now, {own} of its license."
    )


def _chunks(n: int) -> str:
    return f"{n:,} chunk{'' if n == 1 else 's'}"
