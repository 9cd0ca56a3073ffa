"""The flush: what this process has counted is added to what all have.

In a transaction of its own, some seconds after it was counted, and at the end of the
process. Whoever works may flush between two pieces of work, where its connection is
free; a thread does so where that has not happened, and sleeps while nothing is counted.
"""

import logging
import threading

from sqlalchemy.exc import SQLAlchemyError

from storage.database import Database
from storage.operations import counters as kept
from worker.infrastructure.clock import Every, wait
from worker.infrastructure.telemetry.counters import COUNTERS, Counters

log = logging.getLogger(__name__)

EVERY_S = 5.0
"""What a process that is killed has counted, and nobody hears of: so much at most."""


class CounterFlush:
    """Flushes the counters of a process, until it is closed."""

    def __init__(self, database: Database, counters: Counters = COUNTERS) -> None:
        self._database = database
        self._counters = counters
        self._every = Every(EVERY_S, at_once=False)
        self._one = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="flush", daemon=True)
        self._thread.start()

    def if_due(self) -> None:
        """Flush where that was some seconds ago."""
        if self._counters.waiting.is_set() and self._every.due():
            self.flush()

    def flush(self) -> None:
        """Flush; what the database does not take is kept for the next time."""
        with self._one:
            counted = self._counters.take()
            if not counted:
                return
            try:
                with self._database.reading() as connection:
                    kept.add(connection, counted)
            except SQLAlchemyError as error:
                self._counters.give_back(counted)
                log.warning("what was counted could not be kept yet: %s", error)

    def close(self) -> None:
        """Flush what is left, and end."""
        self._stop.set()
        self._counters.waiting.set()
        self._thread.join()
        self.flush()

    def _keep(self) -> None:
        while not self._stop.is_set():
            self._counters.waiting.wait()
            # A little later than whoever works would.
            if not wait(self._stop, EVERY_S * 1.2):
                self.if_due()
