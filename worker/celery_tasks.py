"""The Celery tasks: an id in, a use case, its result into the log.

Names are stable: messages under way outlive a deployment.
"""

import logging
from functools import partial

from celery import Celery
from celery.signals import worker_process_init

from worker.celery_app import draining
from worker.infrastructure.settings import Settings
from worker.jobs.chunk_runner import run_chunk
from worker.jobs.heartbeat import Heartbeat
from worker.jobs.message_queues import RUN_CHUNK, RUN_ENTRY
from worker.jobs.messages.consumer import Consumer
from worker.jobs.messages.waiting_rows import WaitingRows
from worker.jobs.outbox_runner import run_entry
from worker.wiring import Wired, wire

log = logging.getLogger(__name__)


class _Process:
    """What each child of the pool makes for itself, after the fork."""

    deps: Wired | None = None


def register(app: Celery, settings: Settings) -> Heartbeat:
    """Give the app its tasks, its consumer, and each process what it needs.

    The worker's heartbeat is returned: it knows whether something has ended the worker.
    """

    def deps() -> Wired:
        if _Process.deps is None:
            _Process.deps = wire(settings, draining=draining, pool=1)
        return _Process.deps

    def run_chunk_task(chunk_id: int) -> None:
        log.info("chunk %s: %s", chunk_id, run_chunk(deps(), chunk_id))

    def run_entry_task(entry_id: int) -> None:
        log.info("entry %s: %s", entry_id, run_entry(deps(), entry_id))

    app.task(run_chunk_task, name=RUN_CHUNK, max_retries=0)
    app.task(
        run_entry_task,
        name=RUN_ENTRY,
        max_retries=0,
        # A completion cannot be given back half-way, as a chunk can.
        soft_time_limit=settings.seal_budget_s,
        time_limit=settings.seal_budget_s + 30,
    )

    def forget_parents_connections(**_: object) -> None:
        _Process.deps = None

    worker_process_init.connect(forget_parents_connections, weak=False)
    heartbeat = Heartbeat(settings)
    heartbeat.connect_signals()
    app.conf.worker_consumer = partial(
        Consumer,
        still_waits=WaitingRows(settings).still_waits,
        on_failure=heartbeat.failed,
    )
    return heartbeat
