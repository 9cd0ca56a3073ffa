"""The run of an outbox entry: take it, do what its topic says, done or later."""

import logging

from storage.errors import Superseded
from storage.jobs import dispatch_queue, jobs, outbox
from worker.infrastructure.retry_policy import backoff_s
from worker.infrastructure.task_results import Later, Never, TaskResult
from worker.infrastructure.telemetry import log_context, metric_families
from worker.infrastructure.telemetry.counters import COUNTERS
from worker.jobs.delivery import JobDeps

log = logging.getLogger(__name__)


def run_entry(deps: JobDeps, entry_id: int) -> TaskResult:
    """Run an outbox entry once; a failure brings it back later.

    A worker that drains leaves it to others.
    """
    with log_context.bound(entry=entry_id):
        result = _take_and_run(deps, entry_id)
        log.info("entry %s: %s", entry_id, result)
        return result


def _take_and_run(deps: JobDeps, entry_id: int) -> TaskResult:
    if deps.draining():
        with deps.database.transaction() as connection:
            dispatch_queue.unmark(connection, chunk_ids=[], entry_ids=[entry_id])
        return Never("the worker takes nothing more")
    with deps.database.transaction() as connection:
        entry = outbox.take(
            connection, entry_id, owner=deps.owner, lease_s=deps.settings.lease_s
        )
    if entry is None:
        return Never("not to be taken")
    return run_taken(deps, entry)


def run_taken(deps: JobDeps, entry: outbox.Taken) -> TaskResult:
    """Run an entry that is held already; a failure brings it back later."""
    job = {"job": entry.key} if entry.topic == jobs.COMPLETE else {}
    with log_context.bound(entry=entry.id, **job):
        return _run_taken(deps, entry)


def _run_taken(deps: JobDeps, entry: outbox.Taken) -> TaskResult:
    try:
        return _handle(deps, entry)
    except Superseded as error:
        COUNTERS.add(metric_families.FENCED_WRITES, "entry")
        return Never(str(error))
    except Exception as error:
        log.exception("%s of %s failed", entry.topic, entry.key)
        return _fail(deps, entry, error)


def _handle(deps: JobDeps, entry: outbox.Taken) -> TaskResult:
    handler = deps.handlers.get(entry.topic)
    if handler is None:
        raise LookupError(f"nobody handles {entry.topic}")
    return handler(deps, entry)


def _fail(deps: JobDeps, entry: outbox.Taken, error: Exception) -> TaskResult:
    settings = deps.settings
    delay_s = backoff_s(
        entry.attempt - 1, base_s=settings.retry_base_s, max_s=settings.retry_max_s
    )
    why = f"{type(error).__name__}: {error}"
    with deps.database.transaction() as connection:
        held = outbox.give_back(connection, entry, delay_s=delay_s, error=why)
        if held and entry.topic == jobs.COMPLETE:
            jobs.wait_for(connection, entry.key, "storage", delay_s)
    return Later(delay_s, why) if held else Never("superseded")
