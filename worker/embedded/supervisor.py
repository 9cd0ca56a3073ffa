"""The supervisor: starts children, restarts what dies, stops all, servers last.

Each child leads a session of its own, so that Ctrl-C reaches the supervisor alone
and a child's leftovers can be ended with it. Each holds a lock by which the guardian
process finds it, for the case that the supervisor itself is killed.
"""

import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO

from worker.embedded import guardian
from worker.embedded.errors import StartFailed
from worker.embedded.home import Home, Owner, open_log
from worker.embedded.locks import Lock
from worker.infrastructure.clock import Stopwatch, wait
from worker.infrastructure.retry_policy import backoff_s

log = logging.getLogger(__name__)

_LOOK_S = 0.05
_WATCH_S = 0.2
_RESTART_BASE_S, _RESTART_MAX_S = 0.5, 15.0
_STEADY_S = 30.0
"""A child that lived so long has not failed to start."""
_LOG_BYTES_MAX = 10 << 20
_TAIL_BYTES = 4_000
_UMASK = 0o077
"""What a child makes is for its own user alone."""


class Kind(StrEnum):
    """What is ended first, and what last."""

    WORK = "work"
    BROKER = "broker"
    DATABASE = "database"


Stops = tuple[tuple[signal.Signals, float], ...]
"""Signals to end a child with, and the seconds that each is given; then KILL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """A program to run. `ready` says whether it serves; `stdin` is written to it.

    Where it is `heard`, what it says of errors goes where our own does.
    """

    name: str
    kind: Kind
    argv: Sequence[str]
    env: Mapping[str, str]
    stops: Stops
    cwd: Path
    ready: Callable[[], bool] | None = None
    ready_within_s: float = 60
    stdin: bytes = b""
    owner: Owner | None = None
    pass_fds: tuple[int, ...] = ()
    heard: bool = False


@dataclass(slots=True)
class _Running:
    child: Child
    process: subprocess.Popen[bytes]
    lived: Stopwatch
    deaths: int = 0
    restart_at_s: float = 0


class Supervisor:
    """Runs children until it is stopped; `lock_fd` stays locked until all are gone.

    What a former one has left, where its guardian was killed too, is ended first.
    """

    def __init__(self, home: Home, lock_fd: int) -> None:
        self._logs = home.logs
        self._children = home.children
        guardian.end_left(self._children)
        self._running: list[_Running] = []
        self._stopping = threading.Event()
        self._watch = threading.Thread(target=self._watch_all, daemon=True)
        self._guardian = _Guardian(self._children, lock_fd)

    def start(self, *children: Child) -> None:
        """Start children beside each other, and wait until all of them serve.

        Raises `StartFailed`.
        """
        for child in children:
            self.launch(child)
        for child in children:
            self.wait_for(child)

    def launch(self, child: Child) -> None:
        """Start a child, which need not serve before it is waited for."""
        self._running.append(_Running(child, self._spawn(child), Stopwatch()))

    def wait_for(self, child: Child) -> None:
        """Wait until a child that was launched serves. Raises `StartFailed`."""
        if child.ready is None:
            return
        running, waited, waiting = self._found(child), Stopwatch(), threading.Event()
        while not child.ready():
            if running.process.poll() is not None:
                raise StartFailed(f"{child.name} ended:\n{self._tail(child)}")
            if waited.elapsed_s > child.ready_within_s:
                raise StartFailed(f"{child.name} is not ready:\n{self._tail(child)}")
            wait(waiting, _LOOK_S)

    def end_of(self, child: Child) -> int:
        """The exit status of a child that ends by itself, and is started once."""
        running = self._found(child)
        status = running.process.wait()
        self._running.remove(running)
        return status

    def _found(self, child: Child) -> _Running:
        return next(running for running in self._running if running.child is child)

    def watch(self) -> None:
        """Restart from now on what dies."""
        self._watch.start()

    def stop(self) -> None:
        """Stop all children: those of a kind together, the last kind first."""
        self._stopping.set()
        if self._watch.is_alive():
            self._watch.join()
        for kind in Kind:
            self._end_all([run for run in self._running if run.child.kind is kind])
        self._guardian.dismiss()

    def _spawn(self, child: Child) -> subprocess.Popen[bytes]:
        owner = child.owner
        with self._log(child) as output, self._lock(child) as lock:
            process = subprocess.Popen(
                list(child.argv),
                env=dict(child.env),
                cwd=child.cwd,
                stdin=subprocess.PIPE if child.stdin else subprocess.DEVNULL,
                stdout=output,
                stderr=None if child.heard else subprocess.STDOUT,
                start_new_session=True,
                pass_fds=(*child.pass_fds, lock.fd),
                user=owner.uid if owner else None,
                group=owner.gid if owner else None,
                extra_groups=[] if owner else None,
                umask=_UMASK,
            )
            os.pwrite(lock.fd, f"{child.kind} {process.pid}".encode(), 0)
        if process.stdin is not None:
            with contextlib.suppress(BrokenPipeError), process.stdin as stdin:
                stdin.write(child.stdin)
        return process

    @contextlib.contextmanager
    def _lock(self, child: Child) -> Iterator[Lock]:
        """The child's lock; whoever inherits it holds it. Raises `StartFailed`."""
        lock = Lock(self._children / f"{child.name}.lock")
        try:
            if not lock.take():
                raise StartFailed(f"a {child.name} of before is still running")
            os.ftruncate(lock.fd, 0)
            yield lock
        finally:
            lock.close()

    def _log(self, child: Child) -> IO[bytes]:
        path = self._logs / f"{child.name}.log"
        if path.exists() and path.stat().st_size > _LOG_BYTES_MAX:
            path.replace(path.with_suffix(".1.log"))
        return open_log(path)

    def _tail(self, child: Child) -> str:
        data = (self._logs / f"{child.name}.log").read_bytes()[-_TAIL_BYTES:]
        return data.decode(errors="replace").rstrip()

    def _watch_all(self) -> None:
        clock = Stopwatch()
        while not wait(self._stopping, _WATCH_S):
            self._guardian.keep()
            for running in self._running:
                if running.process.poll() is not None:
                    self._restart(running, clock.elapsed_s)

    def _restart(self, running: _Running, now_s: float) -> None:
        """Notice a death, wait a little longer after each, then start it again."""
        if running.restart_at_s == 0:
            if running.lived.elapsed_s > _STEADY_S:
                running.deaths = 0
            delay_s = backoff_s(
                running.deaths, base_s=_RESTART_BASE_S, max_s=_RESTART_MAX_S
            )
            running.restart_at_s = now_s + delay_s
            running.deaths += 1
            code = running.process.returncode
            log.warning("%s ended with %s", running.child.name, code)
            self._end_group(running)
        elif now_s >= running.restart_at_s:
            log.warning("%s is started again", running.child.name)
            try:
                running.process = self._spawn(running.child)
            except (OSError, StartFailed):
                log.exception("%s could not be started", running.child.name)
            running.lived = Stopwatch()
            running.restart_at_s = 0

    def _end_all(self, siblings: list[_Running]) -> None:
        with ThreadPoolExecutor(len(siblings) or 1) as threads:
            list(threads.map(self._end, siblings))

    def _end(self, running: _Running) -> None:
        for number, grace_s in running.child.stops:
            if running.process.poll() is not None:
                break
            running.process.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                running.process.wait(grace_s)
        self._end_group(running)
        running.process.wait()

    def _end_group(self, running: _Running) -> None:
        """End a child and what it left behind."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(running.process.pid, signal.SIGKILL)


class _Guardian:
    """The process that cleans up after us: it waits until our end of a pipe closes."""

    def __init__(self, children: Path, lock_fd: int) -> None:
        self._children = children
        self._lock_fd = lock_fd
        self._process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", guardian.__file__, str(self._children)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=(self._lock_fd,),
            cwd=self._children,
        )

    def keep(self) -> None:
        """Start another where it has been killed: nobody else would clean up."""
        if self._process.poll() is not None:
            log.warning("the guardian is started again")
            self._close()
            self._process = self._start()

    def dismiss(self) -> None:
        """Let it go; it has nothing left to end."""
        self._close()
        self._process.wait()

    def _close(self) -> None:
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
