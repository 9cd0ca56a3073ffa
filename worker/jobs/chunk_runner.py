"""The run of a chunk: take it, then batch by batch look up, deliver and checkpoint.

No transaction is open while findings are looked up, a part is written or a CRM is
asked. The checkpoint commits all that a batch did, or nothing: a worker that lost its
chunk learns of it there. What it wrote is never sealed into the file, and what it sent
is sent again by the same keys. Whoever ends the last chunk of a small job completes it.
"""

import logging
from collections import Counter
from typing import NamedTuple

from sqlalchemy import Connection

from storage.errors import ArtifactError, Conflict, Superseded
from storage.findings import lookups
from storage.jobs import chunks, dispatch_queue, job_control, jobs, outbox
from storage.jobs.chunks import Batch, TakenChunk
from storage.state_machine import JobState
from worker.findings.lookup_prefetch import LookupPrefetch
from worker.findings.waterfall import Wait
from worker.infrastructure.clock import Stopwatch
from worker.infrastructure.errors import DeliveryError
from worker.infrastructure.retry_policy import backoff_s
from worker.infrastructure.task_results import Done, Later, Never, TaskResult
from worker.infrastructure.telemetry import log_context, metric_families, traces
from worker.infrastructure.telemetry.counters import COUNTERS
from worker.jobs.delivery import Delivery, JobDeps
from worker.jobs.outbox_runner import run_taken
from worker.quotes.chunk_slices import read_slice

log = logging.getLogger(__name__)

_CONFLICTS_MAX = 20
"""Each conflict means that another batch went through: a few tries always do."""


def run_chunk(deps: JobDeps, chunk_id: int) -> TaskResult:
    """Run a chunk from its cursor, as far as its job and its time budget allow.

    A worker that drains leaves it to others.
    """
    with log_context.bound(chunk=chunk_id):
        chunk = _taken(deps, chunk_id)
        if isinstance(chunk, Never):
            log.info("chunk %s: %s", chunk_id, chunk)
            return chunk
        with log_context.bound(
            attempt=chunk.attempt, job=chunk.job_id, license=chunk.license_id
        ):
            result = _timed(deps, chunk)
            log.info("chunk %s: %s", chunk_id, result)
            return result


def _taken(deps: JobDeps, chunk_id: int) -> TakenChunk | Never:
    if deps.draining():
        with deps.database.transaction() as connection:
            dispatch_queue.unmark(connection, chunk_ids=[chunk_id], entry_ids=[])
        return Never("the worker takes nothing more")
    with deps.database.reading() as connection:
        chunk = chunks.take(
            connection, chunk_id, owner=deps.owner, lease_s=deps.settings.lease_s
        )
    if chunk is None:
        with deps.database.reading() as connection:
            chunks.wait_on(connection, chunk_id)
        return Never("not to be taken")
    return chunk


def _timed(deps: JobDeps, chunk: TakenChunk) -> TaskResult:
    """Run a chunk that was taken, and count how long that takes."""
    watch = Stopwatch()
    try:
        with traces.span(
            "chunk",
            parent=chunk.traceparent,
            job=chunk.job_id,
            chunk=chunk.id,
            attempt=chunk.attempt,
            kind=chunk.kind,
        ):
            return _run_taken(deps, chunk)
    finally:
        COUNTERS.observe(metric_families.CHUNK_SECONDS, watch.elapsed_s, chunk.kind)


def _run_taken(deps: JobDeps, chunk: TakenChunk) -> TaskResult:
    try:
        return _run(deps, chunk)
    except Superseded as error:
        COUNTERS.add(metric_families.FENCED_WRITES, "chunk")
        return Never(str(error))
    except DeliveryError as error:
        return _rest(deps, chunk, error)
    except Exception as error:
        log.exception("chunk %s of %s failed", chunk.id, chunk.job_id)
        return _fail(deps, chunk, error)


def _run(deps: JobDeps, chunk: TakenChunk) -> TaskResult:
    watch = Stopwatch()
    records = read_slice(
        deps.artifacts,
        chunk.input,
        first_byte=chunk.first_byte,
        size=chunk.bytes,
    )
    if len(records) < chunk.stop - chunk.first_line:
        raise ArtifactError(f"{chunk.input} has fewer records than it was written with")
    with LookupPrefetch(
        deps, chunk, records, lambda: _is_spent(deps, watch) is not None
    ) as prefetch:
        delivery = deps.kinds[chunk.kind].delivery(deps, chunk, records)
        if delivery is None:
            return _give_back(deps, chunk, "the job is cancelled")
        cursor, completion = chunk.cursor, None
        while cursor < chunk.stop:
            stop = min(cursor + delivery.batch_records, chunk.stop)
            with traces.span("batch", start=cursor, records=stop - cursor):
                with traces.span("look up"):
                    contents = prefetch.contents(cursor, stop)
                if isinstance(contents, Wait):
                    return _wait(deps, chunk, contents)
                with traces.span("deliver", to=delivery.receiver):
                    batch = delivery.deliver(cursor, contents)
                with traces.span("checkpoint"):
                    made = _counted_checkpoint(deps, chunk, batch, delivery)
            cursor, completion = stop, made.completion
            why = _why_stop(deps, made, watch)
            if cursor < chunk.stop and why is not None:
                return _give_back(deps, chunk, why)
    return Done() if completion is None else run_taken(deps, completion)


class _Checkpoint(NamedTuple):
    """How a job stands after a batch; its completion, where it is ours to run."""

    state: JobState
    is_held: bool
    credits: int
    completion: outbox.Taken | None


def _counted_checkpoint(
    deps: JobDeps, chunk: TakenChunk, batch: Batch, delivery: Delivery
) -> _Checkpoint:
    """Commit a batch, and count what came of it once that is certain."""
    watch = Stopwatch()
    made = _checkpoint(deps, chunk, batch)
    kind = chunk.kind
    COUNTERS.observe(metric_families.CHECKPOINT_SECONDS, watch.elapsed_s, kind)
    COUNTERS.add(metric_families.CREDITS_SETTLED, kind, by=made.credits)
    for outcome, count in Counter(batch.outcomes.outcomes).items():
        COUNTERS.add(metric_families.RECORDS, kind, str(outcome), by=count)
    for code, count in Counter(batch.rejections()).items():
        COUNTERS.add(metric_families.REJECTIONS, delivery.receiver, code, by=count)
    return made


def _checkpoint(deps: JobDeps, chunk: TakenChunk, batch: Batch) -> _Checkpoint:
    """Commit a batch; where another batch of the job got in between, once more."""
    for _ in range(_CONFLICTS_MAX):
        try:
            with deps.database.transaction() as connection:
                settled = chunks.checkpoint(
                    connection, chunk, batch, lease_s=deps.settings.lease_s
                )
                if (chunk.failures or chunk.job_waits) and batch.start == chunk.cursor:
                    jobs.wait_for(connection, chunk.job_id, None)
                state = batch.park(connection, chunk.job_id, settled.state)
                completion = _hold_completion(deps, connection, chunk, state)
        except Conflict:
            continue
        return _Checkpoint(state, settled.is_held, settled.credits, completion)
    raise Conflict(f"chunk {chunk.id} could not settle beside others of its job")


def _hold_completion(
    deps: JobDeps, connection: Connection, chunk: TakenChunk, state: JobState
) -> outbox.Taken | None:
    """Hold what this batch has put into the outbox, where it ended a small job.

    A worker that ends before it has run it leaves it to its lease, as any entry.
    """
    settings = deps.settings
    if state is not JobState.FINISHING:
        return None
    if chunk.job_records > settings.complete_at_once_records:
        return None
    return outbox.take_new(
        connection,
        jobs.COMPLETE,
        chunk.job_id,
        owner=deps.owner,
        lease_s=settings.lease_s,
    )


def _why_stop(deps: JobDeps, made: _Checkpoint, watch: Stopwatch) -> str | None:
    """Why a worker does not go on with the next batch."""
    if made.state is not JobState.RUNNING:
        return f"the job is {made.state}"
    if made.is_held:
        return "the job is held by a pause"
    return _is_spent(deps, watch)


def _is_spent(deps: JobDeps, watch: Stopwatch) -> str | None:
    """Why a worker does not go on with this chunk, whatever its job."""
    if deps.draining():
        return "the worker is stopping"
    if watch.elapsed_s > deps.settings.chunk_budget_s:
        return "the time budget is spent"
    return None


def _wait(deps: JobDeps, chunk: TakenChunk, wait: Wait) -> TaskResult:
    """Let a chunk wait without a worker: providers will answer, or can be asked."""
    if wait.reason is None:
        return _give_back(deps, chunk, "the worker or the job is stopping")
    with deps.database.transaction() as connection:
        held = chunks.give_back(
            connection, chunk, delay_s=wait.left_s, error=wait.error
        )
        if held:
            jobs.wait_for(connection, chunk.job_id, wait.reason, wait.left_s)
    if wait.awaits:
        with deps.database.transaction() as connection:
            lookups.wake_if_ended(connection, chunk.id, wait.awaits)
    _come_to_rest(deps, chunk)
    return Later(wait.left_s, wait.reason)


def _give_back(deps: JobDeps, chunk: TakenChunk, why: str) -> TaskResult:
    with deps.database.transaction() as connection:
        chunks.give_back(connection, chunk)
    _come_to_rest(deps, chunk)
    return Later(0, why)


def _come_to_rest(deps: JobDeps, chunk: TakenChunk) -> None:
    """Where this was the last chunk that ran of a job that is to stop, it has."""
    with deps.database.transaction() as connection:
        job_control.stop_idle_chunks(
            connection, chunk.job_id, doubt_s=deps.settings.push_doubt_s
        )
        job_control.come_to_rest(connection, chunk.job_id)


def _rest(deps: JobDeps, chunk: TakenChunk, error: DeliveryError) -> TaskResult:
    """Let a chunk wait for the other side, or for somebody who puts it right."""
    log.info("chunk %s of %s: %s", chunk.id, chunk.job_id, error)
    rest = deps.kinds[chunk.kind].rest_of(deps, chunk, error)
    if rest is None:
        return _fail(deps, chunk, error)
    with deps.database.transaction() as connection:
        held = chunks.give_back(connection, chunk, delay_s=rest.left_s)
        if held:
            jobs.wait_for(connection, chunk.job_id, rest.reason, rest.left_s)
    _come_to_rest(deps, chunk)
    return Later(rest.left_s, rest.reason)


def _reason_of(error: Exception) -> str:
    if isinstance(error, DeliveryError):
        return error.waiting_reason
    return "storage" if isinstance(error, ArtifactError) else "retry"


def _fail(deps: JobDeps, chunk: TakenChunk, error: Exception) -> TaskResult:
    settings = deps.settings
    delay_s = backoff_s(
        chunk.failures, base_s=settings.retry_base_s, max_s=settings.retry_max_s
    )
    if isinstance(error, DeliveryError):
        delay_s = max(delay_s, error.until_s or 0)
    reason = _reason_of(error)
    with deps.database.transaction() as connection:
        held = chunks.give_back(
            connection, chunk, delay_s=delay_s, error=type(error).__name__
        )
        if held:
            jobs.wait_for(connection, chunk.job_id, reason, delay_s)
    COUNTERS.add(metric_families.CHUNK_FAILURES, chunk.kind, reason)
    return Later(delay_s, type(error).__name__) if held else Never("superseded")
