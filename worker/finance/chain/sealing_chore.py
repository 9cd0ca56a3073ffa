"""The sealing chore: the dispatcher's reminder to seal, done beside what else it does.

A seal of a busy minute takes seconds, that of a long past minutes, and nobody may wait
for it: it runs in a thread, one at a time. A process that is killed meanwhile leaves
nothing half sealed, for a run is one transaction.
"""

import logging
import threading

from storage.finance.chain import held_back
from storage.finance.chain.runs import DatabaseRestored, SealerBusy
from worker.finance.chain.pins import PinBroken
from worker.finance.chain.sealer import seal
from worker.infrastructure.dependencies import Deps

log = logging.getLogger(__name__)

_LONG_S = 60.0
"""Who holds sealing back for longer is told to operators."""


class SealingChore:
    """Seals each time it is told to, unless the last time is still under way."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps
        self._thread: threading.Thread | None = None

    def turn(self) -> None:
        """Begin to seal what was written since the last time."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._seal, daemon=True)
            self._thread.start()

    def wait(self, timeout_s: float) -> None:
        """Wait for the end of what is under way, at most so long."""
        if self._thread is not None:
            self._thread.join(timeout_s)

    def _tell_of_waiting(self) -> None:
        """Say who holds sealing back: nothing that it could come before is sealed."""
        with self._deps.database.reading() as connection:
            oldest = held_back.oldest(connection)
        if oldest is not None and oldest.age_s >= _LONG_S:
            log.warning("sealing and closing wait for %s", oldest)

    def _seal(self) -> None:
        try:
            seal(self._deps, wait=False)
            self._tell_of_waiting()
        except SealerBusy:
            return
        except (DatabaseRestored, PinBroken) as error:
            log.critical("the chain is not sealed: %s: `holdfast audit --chain`", error)
        except Exception:
            log.exception("the chain was not sealed, and will be the next time")
