"""The heartbeat: a worker says now and then that it is alive."""

import logging
import threading

from celery.signals import worker_ready, worker_shutdown

from storage.jobs import heartbeats
from worker.infrastructure.dependencies import connect, new_owner
from worker.infrastructure.settings import Settings

log = logging.getLogger(__name__)


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
