"""Reconciliations as a process of their own, at the lowest priority.

The dispatcher starts it where one is queued, was left behind by a kill, or is due each
night. It ends when nothing waits any more, and with whoever started it.
"""

import logging
import os
import subprocess
import sys

from storage.finance.reconciliation import runs
from worker.infrastructure.clock import Every
from worker.infrastructure.dependencies import Deps

log = logging.getLogger(__name__)

COMMAND = "reconcile-process"
"""What it is called at the command line."""

_LOOK_EVERY_S = 5.0


class ReconcileProcess:
    """Starts reconciliations when they are due; `turn` is short."""

    def __init__(self, deps: Deps, *, look_every_s: float = _LOOK_EVERY_S) -> None:
        self._deps = deps
        self._look = Every(look_every_s)
        self._process: subprocess.Popen[bytes] | None = None

    def turn(self) -> None:
        """Start a process where a reconciliation waits; notice the end of one."""
        if self._process is None:
            if self._look.due() and self._is_due():
                self._process = _started(self._deps)
        elif (status := self._process.poll()) is not None:
            if status:
                log.error("the reconciliation ended with status %s", status)
            self._forget(self._process)

    def stop(self) -> None:
        """End the process that runs, if one does; what it was at is resumed later."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._forget(self._process)

    def _is_due(self) -> bool:
        hour = self._deps.settings.reconcile_hour
        with self._deps.database.transaction() as connection:
            if hour >= 0 and runs.nightly_is_due(connection, hour=hour):
                runs.put(connection, runs.OPEN, None, nightly=True)
            return runs.is_waiting(connection)

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
            "HOLDFAST_ARTIFACTS_URL": settings.store_url,
        },
        # Closed by the system when this process ends, however it does.
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
