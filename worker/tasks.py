"""The Celery tasks: an id in, a use case, its fate into the log.

Names are stable: messages under way outlive a deployment.
"""

import logging
import threading

from celery import Celery
from celery.signals import worker_process_init, worker_ready, worker_shutdown

from storage.jobs import heartbeats
from worker.app import draining
from worker.chunks import run_chunk
from worker.entries import run_entry
from worker.settings import Settings
from worker.wiring import Deps, connect, new_owner, wire

RUN_CHUNK = "chunk.run"
RUN_ENTRY = "outbox.run"

log = logging.getLogger(__name__)


class _Process:
    """What each child of the pool makes for itself, after the fork."""

    deps: Deps | None = None


def register(app: Celery, settings: Settings) -> None:
    """Give the app its tasks, and each of its processes what they need."""

    def deps() -> Deps:
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
    report_while_alive(settings)


def report_while_alive(settings: Settings) -> None:
    """Say now and then, from the worker's parent, that this worker is alive."""
    owner, stop = new_owner(), threading.Event()

    def report() -> None:
        database = connect(settings, pool=1)
        while True:
            try:
                with database.transaction() as connection:
                    if stop.is_set():
                        heartbeats.leave(connection, owner)
                        return
                    heartbeats.report(connection, owner, "worker")
            except Exception:
                log.exception("the worker could not report")
                if stop.is_set():
                    return
            stop.wait(settings.report_interval_s)

    thread = threading.Thread(target=report, name="report", daemon=True)

    def start(**_: object) -> None:
        thread.start()

    def end(**_: object) -> None:
        stop.set()
        if thread.is_alive():
            thread.join(timeout=5)

    worker_ready.connect(start, weak=False)
    worker_shutdown.connect(end, weak=False)
