"""The dispatcher: the one process that publishes, and does the chores between.

It marks what may go, commits, then publishes ids; what the broker does not take
waits again. It works on while the broker is down. Several may run: an advisory lock
lets one mark at a time.
"""

import logging
from collections.abc import Callable, Sequence
from threading import Event
from typing import NamedTuple

from celery import Celery
from kombu.exceptions import OperationalError

from storage.jobs import dispatch_queue, heartbeats
from worker.infrastructure.clock import Every, wait
from worker.jobs.delivery import JobDeps
from worker.jobs.fair_scheduler import Turn, choose, free_places
from worker.jobs.message_queues import CHUNKS, CONTROL, RUN_CHUNK, RUN_ENTRY
from worker.jobs.messages import lost_messages
from worker.jobs.messages.broker_purge import purge_where_workers_end
from worker.jobs.messages.broker_queues import BrokerQueues

log = logging.getLogger(__name__)

_ENTRIES_MAX = 200
_BROKER_PAUSE_S = 1.0

BROKER_WITHIN_S = 5.0
"""A broker that has not answered by then does not: its chores must go on."""


class Chore(NamedTuple):
    """What is to be done at once and each `every_s`; it must not take long."""

    every_s: float
    do: Callable[[], object]


class Dispatcher:
    """Ticks until it is told to stop, and does its chores when they are due."""

    def __init__(self, deps: JobDeps, app: Celery, chores: Sequence[Chore]) -> None:
        self._deps = deps
        self._app = app
        self._chores = chores
        self._turn = Turn()
        self._broker = BrokerQueues(app)

    def run(self, stop: Event) -> None:
        """Report, do chores and dispatch; an accident is logged and does not end it."""
        settings = self._deps.settings
        report = Every(settings.report_interval_s)
        broker = Chore(settings.sweep_interval_s, self._look_after_broker)
        chores = [(Every(chore.every_s), chore.do) for chore in (broker, *self._chores)]
        while not stop.is_set():
            pause_s = settings.dispatch_interval_s
            try:
                if report.due():
                    self._report()
                for every, do in chores:
                    if every.due():
                        do()
                if not self.tick():
                    pause_s = max(pause_s, _BROKER_PAUSE_S)
            except Exception:
                log.exception("the dispatcher stumbled and goes on")
                pause_s = max(pause_s, _BROKER_PAUSE_S)
            wait(stop, pause_s)
        self._leave()

    def tick(self) -> bool:
        """Hand what may go to the broker; False where it did not take it."""
        chunk_ids, entry_ids = self._mark()
        sent = 0
        tasks = [(RUN_ENTRY, CONTROL, entry_id) for entry_id in entry_ids]
        tasks += [(RUN_CHUNK, CHUNKS, chunk_id) for chunk_id in chunk_ids]
        try:
            for name, queue, row_id in tasks:
                self._app.send_task(name, args=[row_id], queue=queue)
                sent += 1
        except (OperationalError, OSError) as error:
            log.warning("the broker takes nothing: %s", error)
            self._unmark(
                chunk_ids[max(0, sent - len(entry_ids)) :],
                entry_ids[sent:],
            )
            return False
        return True

    def _look_after_broker(self) -> None:
        purge_where_workers_end(self._deps, self._broker)
        lost_messages.bring_back(self._deps, self._broker)

    def _mark(self) -> tuple[list[int], list[int]]:
        settings = self._deps.settings
        with self._deps.database.transaction() as connection:
            if not dispatch_queue.lead(connection):
                return [], []
            entry_ids = dispatch_queue.mark_entries(
                connection,
                limit=_ENTRIES_MAX,
                deliveries_max=settings.webhook_flight_max,
            )
            waiting = dispatch_queue.waiting(
                connection,
                window=settings.job_window,
                small_job_records=settings.small_job_records,
            )
            if not waiting:
                return [], entry_ids
            self._turn = turn = choose(
                waiting,
                self._turn,
                room=free_places(
                    dispatch_queue.in_flight(connection), flight_max=settings.flight_max
                ),
                quantum_records=settings.chunk_records,
                small_job_records=settings.small_job_records,
            )
            marked = set(dispatch_queue.mark_chunks(connection, turn.chunk_ids))
        return [chunk for chunk in turn.chunk_ids if chunk in marked], entry_ids

    def _unmark(self, chunk_ids: Sequence[int], entry_ids: Sequence[int]) -> None:
        with self._deps.database.transaction() as connection:
            dispatch_queue.unmark(connection, chunk_ids=chunk_ids, entry_ids=entry_ids)

    def _report(self) -> None:
        with self._deps.database.transaction() as connection:
            heartbeats.report(connection, self._deps.owner, "dispatcher")

    def _leave(self) -> None:
        with self._deps.database.transaction() as connection:
            heartbeats.leave(connection, self._deps.owner)
