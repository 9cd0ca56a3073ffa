"""Reconciliations as a process of their own, at the lowest priority.

The dispatcher starts it where one is queued, was left behind by a kill, or is due each
night. It ends when nothing waits any more, however long that takes.
"""

from math import inf

from storage.finance.reconciliation import runs
from worker.infrastructure.dependencies import Deps
from worker.infrastructure.processes.own_process import OwnProcess

COMMAND = "reconcile-process"
"""What it is called at the command line."""

_LOOK_EVERY_S = 20.0


class ReconcileProcess(OwnProcess):
    """Starts reconciliations when they are due; `turn` is short."""

    def __init__(self, deps: Deps, *, look_every_s: float = _LOOK_EVERY_S) -> None:
        self._deps = deps
        super().__init__(
            deps.settings,
            COMMAND,
            "reconciliation",
            interval_s=look_every_s,
            timeout_s=inf,
            is_due=self._waits,
        )

    def _waits(self) -> bool:
        hour = self._deps.settings.reconcile_hour
        with self._deps.database.transaction() as connection:
            if hour >= 0 and runs.nightly_is_due(connection, hour=hour):
                runs.put(connection, runs.OPEN, None, nightly=True)
            return runs.is_waiting(connection)
