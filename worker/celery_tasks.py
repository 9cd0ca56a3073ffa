"""The Celery tasks: an id in, and a use case, which logs its result.

Names are stable: messages under way outlive a deployment.
"""

import os
import sys
from functools import partial

from celery import Celery
from celery.signals import (
    worker_before_create_process,
    worker_process_init,
    worker_process_shutdown,
    worker_shutdown,
    worker_shutting_down,
)

from worker.celery_app import drain, draining
from worker.heap import freeze_heap
from worker.infrastructure.dependencies import new_owner
from worker.infrastructure.settings import Settings
from worker.infrastructure.telemetry import traces
from worker.jobs.chunk_runner import run_chunk
from worker.jobs.heartbeat import Heartbeat
from worker.jobs.message_queues import RUN_CHUNK, RUN_ENTRY
from worker.jobs.messages.consumer import Consumer
from worker.jobs.messages.waiting_rows import WaitingRows
from worker.jobs.outbox_runner import run_entry
from worker.operations.counter_flush import CounterFlush
from worker.small_job_process import SmallJobProcess
from worker.wiring import Wired, wire

_NICER = 5
"""So much nicer are the children of the pool than the process for small jobs."""


class _Process:
    """What each child of the pool makes for itself, after the fork."""

    deps: Wired | None = None
    flush: CounterFlush | None = None
    modules = 0
    """How many were loaded when its heap was frozen last."""


def _keep_what_was_loaded() -> None:
    """Have the collector pass over what a run has imported: that stays.

    Else it would look at all of a client's modules again every few batches.
    """
    if len(sys.modules) != _Process.modules:
        _Process.modules = len(sys.modules)
        freeze_heap()


def _flush_if_due() -> None:
    """Say what was counted, where the process's one connection is free."""
    if _Process.flush is not None:
        _Process.flush.if_due()


def _end_child(**_: object) -> None:
    if _Process.flush is not None:
        _Process.flush.close()
    traces.close()


def register(app: Celery, settings: Settings) -> Heartbeat:
    """Give the app its tasks, its consumer, and each process what it needs.

    The worker's heartbeat is returned: it knows whether something has ended the worker.
    """
    heartbeat = Heartbeat(settings, draining=draining, drain=drain)

    def deps() -> Wired:
        if _Process.deps is None:
            owner = new_owner(heartbeat.owner)
            _Process.deps = wire(settings, draining=draining, pool=1, owner=owner)
            _Process.flush = CounterFlush(_Process.deps.database)
        return _Process.deps

    def run_chunk_task(chunk_id: int) -> None:
        run_chunk(deps(), chunk_id)
        _flush_if_due()
        _keep_what_was_loaded()

    def run_entry_task(entry_id: int) -> None:
        run_entry(deps(), entry_id)
        _flush_if_due()

    app.task(run_chunk_task, name=RUN_CHUNK, max_retries=0)
    app.task(
        run_entry_task,
        name=RUN_ENTRY,
        max_retries=0,
        # A completion cannot be given back half-way, as a chunk can.
        soft_time_limit=settings.seal_budget_s,
        time_limit=settings.seal_budget_s + 30,
    )

    def begin_child(**_: object) -> None:
        # Its connections are the parent's.
        _Process.deps = _Process.flush = None
        # Where small jobs have a process of their own, somebody waits for it.
        if settings.small_job_records:
            os.nice(_NICER)

    worker_process_init.connect(begin_child, weak=False)
    worker_process_shutdown.connect(_end_child, weak=False)
    heartbeat.connect_signals()
    app.conf.worker_consumer = partial(
        Consumer,
        still_waits=WaitingRows(settings).still_waits,
        on_failure=heartbeat.failed,
    )
    return heartbeat


def start_beside(process: SmallJobProcess) -> None:
    """Start a process that drains and ends with the worker.

    It is forked before the pool's children: by then all is loaded that they share.
    """
    worker_shutting_down.connect(lambda **_: process.drain(), weak=False)
    worker_shutdown.connect(lambda **_: process.end(), weak=False)
    worker_before_create_process.connect(lambda **_: process.start(), weak=False)
