"""A chore in a process of its own, so that whoever starts it goes on meanwhile.

It is a command of ours. It ends when it is done, when its time is over, and with
whoever started it: its standard input closes then. Which of several such processes may
work at a time is for the command to say.
"""

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable

from worker.infrastructure.clock import Every, Stopwatch
from worker.infrastructure.settings import Settings

log = logging.getLogger(__name__)

_LOOKS = 4
"""Looks in an interval whether the last time is that long ago."""


class OwnProcess:
    """Starts a command when it is due; `turn` is short, and to be called often.

    `name` is what it is called in words. It is due each `interval_s`, where `is_due`
    says so too, and is ended after `timeout_s`.
    """

    def __init__(
        self,
        settings: Settings,
        command: str,
        name: str,
        *,
        interval_s: float,
        timeout_s: float,
        is_due: Callable[[], bool],
    ) -> None:
        self._settings = settings
        self._command = command
        self._name = name
        self._timeout_s = timeout_s
        self._is_due = is_due
        self._look = Every(interval_s / _LOOKS)
        self._process: subprocess.Popen[bytes] | None = None
        self._runs = Stopwatch()

    def turn(self) -> None:
        """Start one that is due, notice the end of one, end one that is late."""
        if self._process is None:
            if self._look.due() and self._is_due():
                self._process, self._runs = self._started(), Stopwatch()
        elif (status := self._process.poll()) is not None:
            if status:
                log.error("the %s ended with status %s", self._name, status)
            self._forget(self._process)
        elif self._runs.elapsed_s > self._timeout_s:
            log.error("the %s takes too long and is ended", self._name)
            self.stop()

    def stop(self) -> None:
        """End the one that runs, if one does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._forget(self._process)

    def _forget(self, process: subprocess.Popen[bytes]) -> None:
        if process.stdin is not None:
            process.stdin.close()
        self._process = None

    def _started(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "worker.cli", self._command],
            env=dict(os.environ)
            | {
                "HOLDFAST_HOME": str(self._settings.home),
                "HOLDFAST_DATABASE_URL": self._settings.database_url or "",
                "HOLDFAST_ARTIFACTS_URL": self._settings.store_url,
            },
            # Closed by the system when this process ends, however it does.
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
        )


def end_with_parent(pipe: int) -> None:
    """End this process, whatever it does, when its parent's end of a pipe closes."""

    def watch() -> None:
        # Not through a file object: this thread would hold its lock at the end.
        while os.read(pipe, 1):
            pass
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def give_way() -> None:
    """Let everything else on this machine go first."""
    os.nice(19)
