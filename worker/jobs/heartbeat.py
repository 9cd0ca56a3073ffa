"""The heartbeat: a worker says now and then that it is alive, and what it dropped.

It also says that it begins, that it has lasted, and when something ends it: workers
that end again and again end on what stands in the broker, which is emptied then. The
answer says whether an operator wants the worker to take nothing more. A worker that is
told to stop says so at once, and after a set time takes the chunks from its children
whose batch has not ended: others go on with them.
"""

import logging
import threading
from collections.abc import Callable
from typing import Protocol

from celery.signals import worker_ready, worker_shutdown, worker_shutting_down
from sqlalchemy import Connection

from storage.jobs import heartbeats, worker_health
from storage.operations import recalled_chunks
from worker.infrastructure.clock import Stopwatch, wait
from worker.infrastructure.dependencies import connect, new_owner
from worker.infrastructure.settings import Settings
from worker.jobs.message_queues import QUEUES, TAKEN
from worker.jobs.messages.dropped_messages import DROPPED
from worker.jobs.process_report import about

log = logging.getLogger(__name__)

STEADY_S = 20.0
"""A worker that has lived so long does not end on the first message it is given."""

HANDED_BACK = "worker_stopped"
"""What a chunk says of itself whose worker was to stop before its batch had ended."""


class Rests(Protocol):
    """Whoever asks the broker for messages, and can be told not to."""

    def rest(self, *, rests: bool) -> None:
        """Ask for nothing more, or again."""


class Heartbeat:
    """Of one worker, from its parent process.

    `drain` lets it and its children take nothing more, or go on; `draining` says
    whether they do.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        draining: Callable[[], bool],
        drain: Callable[..., None],
    ) -> None:
        self.has_failed = False
        self.owner = new_owner()
        self._settings = settings
        self._draining, self._drain = draining, drain
        self._queues = (*QUEUES, TAKEN) if settings.small_job_records else QUEUES
        self._database = connect(settings, pool=1)
        self._consumer: Rests | None = None
        self._was_asked = False
        self._stop, self._wake = threading.Event(), threading.Event()
        self._lived = Stopwatch()
        self._stopping: Stopwatch | None = None
        self._thread = threading.Thread(target=self._beat, name="report", daemon=True)

    def connect_signals(self) -> None:
        """Report from the moment the worker is ready to the one it ends."""
        worker_ready.connect(self._start, weak=False)
        worker_shutting_down.connect(self._begin_to_stop, weak=False)
        worker_shutdown.connect(self._end, weak=False)

    def failed(self, error: Exception) -> None:
        """Say that something ends the worker which is not its own stop."""
        self.has_failed = True
        why = f"{type(error).__name__}: {error}"[:500]
        try:
            with self._database.transaction() as connection:
                worker_health.failed(connection, self.owner, why)
        except Exception:
            log.exception("the worker could not say that it fails")

    def _start(self, sender: Rests, **_: object) -> None:
        # It is ready again each time that it has lost its broker.
        self._consumer = sender
        if self._thread.ident is None:
            self._thread.start()

    def _begin_to_stop(self, **_: object) -> None:
        if self._stopping is None:
            self._stopping = Stopwatch()
        self._wake.set()

    def _end(self, **_: object) -> None:
        self._stop.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def _beat(self) -> None:
        first = True
        while not self._report(first=first):
            first = False
            self._hand_back()
            wait(self._wake, self._next_s())
            self._wake.clear()

    def _next_s(self) -> float:
        """Until when there is nothing to say, and nothing to do."""
        if self._stopping is None:
            return self._settings.report_interval_s
        left_s = self._settings.hand_back_s - self._stopping.elapsed_s
        return min(self._settings.report_interval_s, left_s if left_s > 0 else 1.0)

    def _hand_back(self) -> None:
        """Take from the children what they have held for too long, once all stop."""
        stopping = self._stopping
        if stopping is None or stopping.elapsed_s < self._settings.hand_back_s:
            return
        try:
            with self._database.transaction() as connection:
                count = recalled_chunks.recall_all_of(
                    connection, self.owner, why=HANDED_BACK
                )
        except Exception:
            log.exception("the worker could not hand its chunks back")
            return
        if count:
            log.warning("%s chunks are handed back before their batches ended", count)

    def _report(self, *, first: bool) -> bool:
        """Report once; True where it was the last time."""
        ends = self._stop.is_set()
        counts = DROPPED.take()
        try:
            with self._database.transaction() as connection:
                worker_health.count_dropped(connection, counts)
                if first:
                    worker_health.started(connection, self.owner)
                if ends or self._lived.elapsed_s > STEADY_S:
                    worker_health.lasted(connection, self.owner)
                if ends:
                    heartbeats.leave(connection, self.owner)
                    asked = self._was_asked
                else:
                    asked = self._say(connection)
        except Exception:
            DROPPED.give_back(counts)
            log.exception("the worker could not report")
        else:
            self._obey(asked=asked)
        return ends

    def _say(self, connection: Connection) -> bool:
        said = about(drains=self._draining())
        return heartbeats.report(connection, self.owner, "worker", self._queues, said)

    def _obey(self, *, asked: bool) -> None:
        """Take nothing more where an operator has asked for it, or go on."""
        if asked or self._was_asked:
            # Said each time: a consumer that has connected anew has begun again.
            if self._consumer is not None:
                self._consumer.rest(rests=asked)
            self._drain(asked=asked)
        if asked != self._was_asked:
            log.info("the worker %s", "drains" if asked else "takes chunks again")
            self._was_asked = asked
            # So that it is said at once.
            self._wake.set()
