"""When a push rests: for its CRM's limits, or until somebody puts something right."""

from dataclasses import replace
from functools import partial

from sqlalchemy import Connection

from storage.connections import connections
from storage.jobs import jobs, parked_jobs
from storage.jobs.chunks import Batch, TakenChunk
from storage.jobs.job_control import NEEDS_RECONNECT
from storage.licenses import notifications
from storage.pushes import pushed_batches
from storage.pushes.pushed_batches import Pushed
from storage.state_machine import JobState
from worker.connections.connection_opener import ConnectionOpener
from worker.connections.connectors.errors import (
    Misconfigured,
    Throttled,
    Unauthorized,
    Unavailable,
)
from worker.infrastructure.dependencies import Deps
from worker.infrastructure.errors import DeliveryError
from worker.infrastructure.outbound_limits.pauses import (
    DAILY_LIMIT,
    RATE_LIMITED,
    Paused,
)
from worker.infrastructure.settings import Settings
from worker.jobs.delivery import Rest
from worker.pushes.push_options import push_of

_KEEPS_COMING = 5
"""Failures in a row after which what passes as a rule waits for a person."""
_RECONNECTED = "reconnected"
"""Why a chunk is given back whose connection has other secrets by now."""


def rest_of(
    deps: Deps, crms: ConnectionOpener, chunk: TakenChunk, error: DeliveryError
) -> Rest | None:
    """What follows of an error; None where it counts as a failure like any other.

    Throttling pauses the connection for all its jobs. What only a person can put right
    parks the job, and tells its user, and so does what should pass and keeps coming;
    one that is being cancelled tries again.
    """
    match error:
        case Throttled(until_s=until_s, daily=daily):
            reason = DAILY_LIMIT if daily else RATE_LIMITED
            connection_id = push_of(chunk.push or {}).connection_id
            # Where it is our own limiter that says so, everybody knows it already.
            if not isinstance(error.__cause__, Paused):
                crms.limits.pause(connection_id, reason, until_s)
            return Rest(reason, until_s)
        case Unauthorized(version=version):
            return _park(deps, chunk, NEEDS_RECONNECT, str(error), version)
        case Misconfigured(code=code):
            return _park(deps, chunk, code, str(error))
        case Unavailable(parks_as=str(code)) if chunk.failures >= _KEEPS_COMING:
            return _park(deps, chunk, code, str(error))
    return None


def _park(
    deps: Deps, chunk: TakenChunk, reason: str, why: str, version: int | None = None
) -> Rest | None:
    connection_id = push_of(chunk.push or {}).connection_id
    with deps.database.transaction() as connection:
        if reason == NEEDS_RECONNECT and not connections.needs_reconnect(
            connection, connection_id, version
        ):
            # Somebody has reconnected since this worker began.
            return Rest(_RECONNECTED, 0)
        parked = parked_jobs.park(connection, chunk.job_id, reason)
        if parked:
            _tell(connection, chunk, reason, why)
        state_now = jobs.state_of(connection, chunk.job_id)
    resting = parked or state_now in {JobState.PAUSING, JobState.PAUSED}
    return Rest(reason, 0) if resting else None


def _tell(connection: Connection, chunk: TakenChunk, reason: str, why: str) -> None:
    # Nothing else goes on by itself.
    by_itself = "somebody reconnects, or " if reason == NEEDS_RECONNECT else ""
    message = f"{chunk.job_id} waits, and goes on when {by_itself}it is resumed: {why}"
    notifications.put(
        connection, chunk.license_id, chunk.user_id, "job_parked", message
    )


def with_pushed(deps: Deps, batch: Batch, pushed: Pushed | None) -> Batch:
    """A batch whose settlement remembers what was sent, and looks whether to park.

    Neither where nothing was ever sent of it.
    """
    if pushed is None:
        return batch
    return replace(
        batch,
        keep=partial(pushed_batches.keep, pushed=pushed),
        park=partial(_park_where_rejected, deps.settings),
    )


def _park_where_rejected(
    settings: Settings, connection: Connection, job_id: str, state: JobState
) -> JobState:
    """Park a job whose CRM rejects too much; how the job stands then."""
    parked = state is JobState.RUNNING and parked_jobs.park_where_rejected(
        connection,
        job_id,
        share=settings.push_rejections_share,
        least=settings.push_rejections_min,
    )
    return JobState.PAUSING if parked else state
