"""The runner of small jobs: takes their chunks from the database as soon as they wait.

What a person waits for must not wait for the broker, nor for a child that is in the
middle of a large job's chunk. So each worker has one process that runs nothing else,
woken by the database. It runs a few at once, for most of what one does is to wait: for
the database, and for what it wrote to reach the disk. The dispatcher leaves it a head
start and hands the rest to the broker: nothing depends on this process.
"""

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from threading import Event, Lock

from storage.jobs import dispatch_queue
from storage.listener import WORK, Listener
from worker.infrastructure import clock
from worker.infrastructure.clock import Stopwatch
from worker.jobs.chunk_runner import run_chunk
from worker.jobs.delivery import JobDeps

log = logging.getLogger(__name__)

THREADS = 4
"""So many run at once; each needs a connection."""
_AT_ONCE = 8
"""So many are chosen together, each license's first before any license's second."""
_LOOK_S = 15.0
"""How often it looks for work that the database did not tell it of."""
_STOP_WITHIN_S = 1.0
"""A process that rests wakes no more often than this, to see whether to stop."""
_PAUSE_S = 1.0
_SOONEST_S = 0.001

Alarm = Callable[[float], None]
"""Ends this process after so many seconds, unless it is set anew; 0 takes it back."""


class SmallJobRunner:
    """Runs chunks of small jobs until it is told to stop, or has run its share.

    A process is renewed after `chunks_max` of them, before a leak matters.
    """

    def __init__(self, deps: JobDeps, alarm: Alarm, *, chunks_max: int = 1000) -> None:
        self._deps = deps
        self._watch = _Watch(alarm, deps.settings.task_time_limit_s)
        self._left = chunks_max
        self._threads = ThreadPoolExecutor(THREADS, "small")
        self._in_hand: dict[int, Future[None]] = {}
        self._listener = Listener(deps.database, WORK, look_s=_STOP_WITHIN_S)

    def run(self, stop: Event) -> None:
        """Run what waits, then wait; an accident is logged and does not end it."""
        while not stop.is_set() and self._left > 0:
            if self._deps.draining():
                clock.wait(stop, _STOP_WITHIN_S)
                continue
            try:
                has_begun_all = self.turn()
            except Exception:
                log.exception("the runner of small jobs stumbled and goes on")
                clock.wait(stop, _PAUSE_S)
            else:
                if has_begun_all:
                    self._listener.wait(stop, _LOOK_S)
                else:
                    self._wait_for_room(stop)
        self.finish()
        self._listener.close()

    def turn(self) -> bool:
        """Begin the chunks that go next; whether no more waited than are begun now."""
        self._let_go()
        with self._deps.database.reading() as connection:
            chunk_ids = dispatch_queue.waiting_small(
                connection,
                small_job_records=self._deps.settings.small_job_records,
                limit=_AT_ONCE,
            )
        # Nobody has taken what a thread has yet to come to: it is still found waiting.
        new = [each for each in chunk_ids if each not in self._in_hand]
        for chunk_id in new:
            self._in_hand[chunk_id] = self._threads.submit(self._run_chunk, chunk_id)
            self._left -= 1
        return len(chunk_ids) == len(new) < _AT_ONCE

    def finish(self) -> None:
        """Wait until all that was begun is done, and begin nothing more."""
        self._threads.shutdown(wait=True)

    def _run_chunk(self, chunk_id: int) -> None:
        if self._deps.draining():
            return
        try:
            with self._watch.over(chunk_id):
                run_chunk(self._deps, chunk_id)
        except Exception:
            log.exception("the runner of small jobs stumbled and goes on")

    def _let_go(self) -> None:
        held = self._in_hand.items()
        self._in_hand = {each: run for each, run in held if not run.done()}

    def _wait_for_room(self, stop: Event) -> None:
        """Wait until one is done, and half of what may be chosen together."""
        while self._in_hand and not stop.is_set():
            wait(self._in_hand.values(), _STOP_WITHIN_S, FIRST_COMPLETED)
            before = len(self._in_hand)
            self._let_go()
            if len(self._in_hand) < before and len(self._in_hand) <= _AT_ONCE // 2:
                return


class _Watch:
    """Lets the one alarm of a process stand for what has run the longest in it."""

    def __init__(self, alarm: Alarm, after_s: float) -> None:
        self._alarm = alarm
        self._after_s = after_s
        self._lock = Lock()
        self._running: dict[int, Stopwatch] = {}

    @contextmanager
    def over(self, chunk_id: int) -> Iterator[None]:
        """Watch over a chunk as long as it runs."""
        with self._lock:
            self._running[chunk_id] = Stopwatch()
            self._set()
        try:
            yield
        finally:
            with self._lock:
                del self._running[chunk_id]
                self._set()

    def _set(self) -> None:
        oldest = next(iter(self._running.values()), None)
        if oldest is None:
            self._alarm(0)
        else:
            self._alarm(max(_SOONEST_S, self._after_s - oldest.elapsed_s))
