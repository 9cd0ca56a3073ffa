"""The supervisor: starts children, restarts what dies, stops all, servers last.

Each child leads a session of its own, so that Ctrl-C reaches the supervisor alone
and a child's leftovers can be ended with it. A guardian process learns of each, for
the case that the supervisor itself is killed.
"""

import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO

from worker.embedded.errors import StartFailed
from worker.embedded.home import Owner, open_log
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
    """What the guardian ends first, and what last."""

    WORK = "work"
    BROKER = "broker"
    DATABASE = "database"


Stops = tuple[tuple[signal.Signals, float], ...]
"""Signals to end a child with, and the seconds that each is given; then KILL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """A program to run. `ready` says whether it serves; `stdin` is written to it."""

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


@dataclass(slots=True)
class _Running:
    child: Child
    process: subprocess.Popen[bytes]
    lived: Stopwatch
    deaths: int = 0
    restart_at_s: float = 0


class Supervisor:
    """Runs children until it is stopped; `lock_fd` stays locked until all are gone."""

    def __init__(self, logs: Path, lock_fd: int) -> None:
        self._logs = logs
        self._running: list[_Running] = []
        self._stopping = threading.Event()
        self._watch = threading.Thread(target=self._watch_all, daemon=True)
        self._guardian = _Guardian(logs, lock_fd)

    def start(self, child: Child) -> None:
        """Start a child and wait until it serves. Raises `StartFailed`."""
        running = _Running(child, self._spawn(child), Stopwatch())
        self._running.append(running)
        if child.ready is None:
            return
        waiting = threading.Event()
        while not child.ready():
            if running.process.poll() is not None:
                raise StartFailed(f"{child.name} ended:\n{self._tail(child)}")
            if running.lived.elapsed_s > child.ready_within_s:
                raise StartFailed(f"{child.name} is not ready:\n{self._tail(child)}")
            wait(waiting, _LOOK_S)

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
        with self._log(child) as output:
            process = subprocess.Popen(
                list(child.argv),
                env=dict(child.env),
                cwd=child.cwd,
                stdin=subprocess.PIPE if child.stdin else subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=child.pass_fds,
                user=owner.uid if owner else None,
                group=owner.gid if owner else None,
                extra_groups=[] if owner else None,
                umask=_UMASK,
            )
        self._guardian.add(child.kind, process.pid)
        if process.stdin is not None:
            with contextlib.suppress(BrokenPipeError), process.stdin as stdin:
                stdin.write(child.stdin)
        return process

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
            except OSError:
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
        self._guardian.drop(running.process.pid)


class _Guardian:
    """The pipe to the process that cleans up after us."""

    def __init__(self, logs: Path, lock_fd: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(Path(__file__).with_name("guardian.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=(lock_fd,),
            cwd=logs,
        )

    def add(self, kind: Kind, pid: int) -> None:
        self._say(f"add {kind} {pid}")

    def drop(self, pid: int) -> None:
        self._say(f"drop {pid}")

    def dismiss(self) -> None:
        """Let it go; it has nothing left to end."""
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
        self._process.wait()

    def _say(self, line: str) -> None:
        if self._process.stdin is None:
            return
        # A guardian that was killed must not end what it watches over.
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(f"{line}\n".encode())
            self._process.stdin.flush()
