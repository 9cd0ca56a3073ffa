"""The dispatcher: the one process that publishes, and does the chores between.

It marks what may go, commits, then publishes ids; what the broker does not take
waits again. The database wakes it where something waits; it looks now and then by
itself, for what it was not told of. It works on while the broker is down. Several may
run: an advisory lock lets one mark at a time.
"""

import logging
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from threading import Event
from typing import NamedTuple

from celery import Celery
from kombu.exceptions import OperationalError
from sqlalchemy import Connection

from storage.jobs import dispatch_queue, heartbeats
from storage.listener import WORK, Listener
from worker.infrastructure.clock import Every, Stopwatch, wait
from worker.infrastructure.telemetry import traces
from worker.jobs.delivery import JobDeps
from worker.jobs.fair_scheduler import Turns, choose, free_places
from worker.jobs.message_queues import CHUNKS, CONTROL, RUN_CHUNK, RUN_ENTRY, SMALL
from worker.jobs.messages import lost_messages
from worker.jobs.messages.broker_purge import purge_where_workers_end
from worker.jobs.messages.broker_queues import BrokerQueues
from worker.jobs.process_report import about

log = logging.getLogger(__name__)

_ENTRIES_MAX = 200
_BROKER_PAUSE_S = 1.0
_TICKS_APART_S = 0.02
"""However much it is told, it looks no more often."""
_RESTS_FOR_EACH_TICK = 4
"""Nor for more than a fifth of the time: what it looks at has others to serve."""

_HEAD_START_S = 2.0
"""For so long small jobs are left to the workers' own processes for them."""

BROKER_WITHIN_S = 5.0
"""A broker that has not answered by then does not: its chores must go on."""


class Chore(NamedTuple):
    """What is to be done at once and each `every_s`; it must not take long."""

    every_s: float
    do: Callable[[], object]


class _Task(NamedTuple):
    """A message that goes: what is to be run, and by which queue."""

    name: str
    queue: str
    row_id: int
    traceparent: str | None = None


class Dispatcher:
    """Ticks until it is told to stop, and does its chores when they are due."""

    def __init__(self, deps: JobDeps, app: Celery, chores: Sequence[Chore]) -> None:
        self._deps = deps
        self._app = app
        self._chores = chores
        self._turns = Turns()
        self._broker = BrokerQueues(app)
        self._listener = Listener(deps.database, WORK)
        self._has_small_queue = False
        self._head_start_s = 0.0

    def run(self, stop: Event) -> None:
        """Report, do chores and dispatch; an accident is logged and does not end it."""
        settings = self._deps.settings
        report = Every(settings.report_interval_s)
        broker = Chore(settings.sweep_interval_s, self._look_after_broker)
        chores = [(Every(chore.every_s), chore.do) for chore in (broker, *self._chores)]
        while not stop.is_set():
            try:
                if report.due():
                    self._report()
                for every, do in chores:
                    if every.due():
                        do()
                took = Stopwatch()
                is_well = self.tick()
                least_s = max(_TICKS_APART_S, _RESTS_FOR_EACH_TICK * took.elapsed_s)
            except Exception:
                log.exception("the dispatcher stumbled and goes on")
                is_well, least_s = False, _BROKER_PAUSE_S
            self._rest(stop, least_s, is_well=is_well)
        self._listener.close()
        self._leave()

    def _rest(self, stop: Event, least_s: float, *, is_well: bool) -> None:
        """Wait for so long, and then until there may be something to hand out."""
        interval_s = self._deps.settings.dispatch_interval_s
        if not is_well:
            wait(stop, max(interval_s, _BROKER_PAUSE_S))
        elif not wait(stop, min(interval_s, least_s)):
            self._listener.wait(stop, interval_s)

    def tick(self) -> bool:
        """Hand what may go to the broker; False where it did not take it."""
        tasks = self._mark()
        sent = 0
        try:
            for task in tasks:
                self._send(task)
                sent += 1
        except (OperationalError, OSError) as error:
            log.warning("the broker takes nothing: %s", error)
            self._unmark(tasks[sent:])
            return False
        return True

    def _send(self, task: _Task) -> None:
        with (
            traces.span("dispatch", parent=task.traceparent, queue=task.queue)
            if task.traceparent
            else nullcontext()
        ):
            self._app.send_task(task.name, args=[task.row_id], queue=task.queue)

    def _look_after_broker(self) -> None:
        self._has_small_queue = lost_messages.reads_small(self._deps)
        takes_small = lost_messages.takes_small(self._deps)
        self._head_start_s = _HEAD_START_S if takes_small else 0.0
        purge_where_workers_end(self._deps, self._broker)
        lost_messages.bring_back(self._deps, self._broker)

    def _mark(self) -> list[_Task]:
        with self._deps.database.transaction() as connection:
            if not dispatch_queue.lead(connection):
                return []
            entry_ids = dispatch_queue.mark_entries(
                connection,
                limit=_ENTRIES_MAX,
                deliveries_max=self._deps.settings.webhook_flight_max,
            )
            entries = [_Task(RUN_ENTRY, CONTROL, entry_id) for entry_id in entry_ids]
            return entries + self._mark_chunks(connection)

    def _mark_chunks(self, connection: Connection) -> list[_Task]:
        settings = self._deps.settings
        waiting = dispatch_queue.waiting(
            connection,
            window=settings.job_window,
            small_job_records=settings.small_job_records,
            head_start_s=self._head_start_s,
        )
        if not waiting:
            return []
        small_queue = SMALL if self._has_small_queue else CHUNKS
        self._turns = choose(
            waiting,
            self._turns,
            room=free_places(
                dispatch_queue.in_flight(connection),
                flight_max=settings.flight_max,
                small_queue=SMALL if self._has_small_queue else None,
            ),
            quantum_records=settings.chunk_records,
            small_job_records=settings.small_job_records,
            weights=dispatch_queue.weights(
                connection, {chunk.license_id for chunk in waiting}
            ),
        )
        marked = {
            chunk_id: queue
            for queue, turn in (
                (small_queue, self._turns.small),
                (CHUNKS, self._turns.other),
            )
            for chunk_id in _marked(connection, turn.chunk_ids, queue)
        }
        parents = (
            dispatch_queue.traceparents(connection, [*marked])
            if traces.are_made()
            else {}
        )
        return [
            _Task(RUN_CHUNK, queue, chunk_id, parents.get(chunk_id))
            for chunk_id, queue in marked.items()
        ]

    def _unmark(self, tasks: Sequence[_Task]) -> None:
        with self._deps.database.transaction() as connection:
            dispatch_queue.unmark(
                connection,
                chunk_ids=[task.row_id for task in tasks if task.name == RUN_CHUNK],
                entry_ids=[task.row_id for task in tasks if task.name == RUN_ENTRY],
            )

    def _report(self) -> None:
        with self._deps.database.transaction() as connection:
            heartbeats.report(connection, self._deps.owner, "dispatcher", about=about())

    def _leave(self) -> None:
        with self._deps.database.transaction() as connection:
            heartbeats.leave(connection, self._deps.owner)


def _marked(connection: Connection, chunk_ids: Sequence[int], queue: str) -> list[int]:
    """Those of some chunks that could be marked, in their order."""
    if not chunk_ids:
        return []
    marked = set(dispatch_queue.mark_chunks(connection, chunk_ids, queue))
    return [chunk_id for chunk_id in chunk_ids if chunk_id in marked]
