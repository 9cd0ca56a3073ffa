"""The heartbeat: a worker says now and then that it is alive, and what it dropped.

It also says that it begins, that it has lasted, and when something ends it: workers
that end again and again end on what stands in the broker, which is emptied then.
"""

import logging
import threading

from celery.signals import worker_ready, worker_shutdown

from storage.jobs import heartbeats, worker_health
from worker.infrastructure.clock import Stopwatch
from worker.infrastructure.dependencies import connect, new_owner
from worker.infrastructure.settings import Settings
from worker.jobs.message_queues import QUEUES, TAKEN
from worker.jobs.messages.dropped_messages import DROPPED

log = logging.getLogger(__name__)

STEADY_S = 20.0
"""A worker that has lived so long does not end on the first message it is given."""


class Heartbeat:
    """Of one worker, from its parent process."""

    def __init__(self, settings: Settings) -> None:
        self.has_failed = False
        self._queues = (*QUEUES, TAKEN) if settings.small_job_records else QUEUES
        self._owner = new_owner()
        self._interval_s = settings.report_interval_s
        self._database = connect(settings, pool=1)
        self._stop = threading.Event()
        self._lived = Stopwatch()
        self._thread = threading.Thread(target=self._beat, name="report", daemon=True)

    def connect_signals(self) -> None:
        """Report from the moment the worker is ready to the one it ends."""
        worker_ready.connect(self._start, weak=False)
        worker_shutdown.connect(self._end, weak=False)

    def failed(self, error: Exception) -> None:
        """Say that something ends the worker which is not its own stop."""
        self.has_failed = True
        why = f"{type(error).__name__}: {error}"[:500]
        try:
            with self._database.transaction() as connection:
                worker_health.failed(connection, self._owner, why)
        except Exception:
            log.exception("the worker could not say that it fails")

    def _start(self, **_: object) -> None:
        self._thread.start()

    def _end(self, **_: object) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def _beat(self) -> None:
        first = True
        while not self._report(first=first):
            first = False
            self._stop.wait(self._interval_s)

    def _report(self, *, first: bool) -> bool:
        """Report once; True where it was the last time."""
        ends = self._stop.is_set()
        counts = DROPPED.take()
        try:
            with self._database.transaction() as connection:
                worker_health.count_dropped(connection, counts)
                if first:
                    worker_health.started(connection, self._owner)
                if ends or self._lived.elapsed_s > STEADY_S:
                    worker_health.lasted(connection, self._owner)
                if ends:
                    heartbeats.leave(connection, self._owner)
                else:
                    heartbeats.report(connection, self._owner, "worker", self._queues)
        except Exception:
            DROPPED.give_back(counts)
            log.exception("the worker could not report")
        return ends
