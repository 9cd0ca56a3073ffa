"""The audit as a process of its own, so that whoever starts it goes on meanwhile.

One runs at a time over all dispatchers, by a lock in the database. It ends when it is
done, when its time is over, and with whoever started it: its standard input closes
then.
"""

import logging
import os
import subprocess
import sys
import threading

from storage.ledger import audit_verdicts
from worker.infrastructure.clock import Every, Stopwatch
from worker.infrastructure.dependencies import Deps

log = logging.getLogger(__name__)

COMMAND = "audit-process"
"""What it is called at the command line."""

_LOOKS = 4
"""Looks in an interval whether the last audit is that long ago."""


class AuditProcess:
    """Starts the audit when it is due; `turn` is short, and to be called often."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps
        self._look = Every(deps.settings.audit_interval_s / _LOOKS)
        self._process: subprocess.Popen[bytes] | None = None
        self._runs = Stopwatch()

    def turn(self) -> None:
        """Start an audit that is due, notice the end of one, end one that is late."""
        if self._process is None:
            if self._look.due() and self._is_due():
                self._process, self._runs = _started(self._deps), Stopwatch()
        elif (status := self._process.poll()) is not None:
            if status:
                log.error("the audit ended with status %s", status)
            self._forget(self._process)
        elif self._runs.elapsed_s > self._deps.settings.audit_timeout_s:
            log.error("the audit takes too long and is ended")
            self.stop()

    def stop(self) -> None:
        """End the audit that runs, if one does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._forget(self._process)

    def _is_due(self) -> bool:
        after_s = self._deps.settings.audit_interval_s
        with self._deps.database.transaction() as connection:
            return audit_verdicts.is_due(connection, after_s=after_s)

    def _forget(self, process: subprocess.Popen[bytes]) -> None:
        if process.stdin is not None:
            process.stdin.close()
        self._process = None


def _started(deps: Deps) -> subprocess.Popen[bytes]:
    settings = deps.settings
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "worker.cli", COMMAND],
        env=dict(os.environ)
        | {
            "HOLDFAST_HOME": str(settings.home),
            "HOLDFAST_DATABASE_URL": settings.database_url or "",
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
