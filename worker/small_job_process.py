"""The worker's process for small jobs: forked off, kept alive, ended with the worker.

It drains with the worker too.

It is forked before the worker connects to anything, and shares what is loaded by then.
"""

import logging
import os
import signal
import threading
from contextlib import suppress

from worker.celery_app import draining
from worker.heap import freeze_heap
from worker.infrastructure.clock import Stopwatch, wait
from worker.infrastructure.dependencies import new_owner
from worker.infrastructure.retry_policy import backoff_s
from worker.infrastructure.settings import Settings
from worker.infrastructure.telemetry import traces
from worker.jobs.small_job_runner import THREADS, SmallJobRunner
from worker.operations.counter_flush import CounterFlush
from worker.wiring import wire

log = logging.getLogger(__name__)

_RESTART_BASE_S, _RESTART_MAX_S = 0.5, 15.0
_STEADY_S = 30.0
"""One that lived so long has not failed to start."""
_PARENT_LOOK_S = 2.0


class SmallJobProcess:
    """Starts the process, and starts it again where it ends before the worker does."""

    def __init__(self, settings: Settings, worker: str) -> None:
        self._settings = settings
        self._worker = worker
        self._pid: int | None = None
        self._stopping = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="small", daemon=True)

    def start(self) -> None:
        """Fork it, once, and look after it until it is to end."""
        if self._keeper.ident is not None:
            return
        freeze_heap()
        self._pid = self._fork()
        self._keeper.start()

    def drain(self) -> None:
        """Let it end its batch, and take nothing more."""
        self._stopping.set()
        self._signal(signal.SIGTERM)

    def end(self) -> None:
        """Wait for it as the worker waits for its children, then end it."""
        self.drain()
        self._keeper.join(self._settings.worker_grace_s / 2)
        self._signal(signal.SIGKILL)

    def _fork(self) -> int:
        parent = os.getpid()
        pid = os.fork()
        if pid:
            return pid
        status = 1
        try:
            _run(self._settings, parent, new_owner(self._worker))
            status = 0
        except BaseException:
            log.exception("the runner of small jobs has failed")
        finally:
            os._exit(status)

    def _keep(self) -> None:
        deaths, lived = 0, Stopwatch()
        while self._pid is not None:
            _, status = os.waitpid(self._pid, 0)
            self._pid = None
            if self._stopping.is_set():
                return
            deaths = 0 if status == 0 or lived.elapsed_s > _STEADY_S else deaths + 1
            if deaths:
                log.warning("the runner of small jobs ended with %s", status)
                delay_s = backoff_s(
                    deaths - 1, base_s=_RESTART_BASE_S, max_s=_RESTART_MAX_S
                )
                if wait(self._stopping, delay_s):
                    return
            self._pid, lived = self._fork(), Stopwatch()

    def _signal(self, number: signal.Signals) -> None:
        if self._pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self._pid, number)


def _run(settings: Settings, parent: int, owner: str) -> None:
    """Be that process."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, lambda *_: stop.set())
    # What hangs is ended, as a child of the pool is; its lease brings the work back.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    threading.Thread(target=_outlive_nobody, args=(parent,), daemon=True).start()
    deps = wire(
        settings,
        draining=lambda: stop.is_set() or draining(),
        pool=THREADS,
        owner=owner,
    )
    flush = CounterFlush(deps.database)
    SmallJobRunner(deps, _alarm).run(stop)
    flush.close()
    traces.close()


def _alarm(after_s: float) -> None:
    signal.setitimer(signal.ITIMER_REAL, after_s)


def _outlive_nobody(parent: int) -> None:
    """End with the worker, however that ended."""
    forever = threading.Event()
    while os.getppid() == parent:
        wait(forever, _PARENT_LOOK_S)
    os._exit(1)
