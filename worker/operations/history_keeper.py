"""The keeper of the history: writes down each minute, and thins what has aged."""

from storage.operations import history
from worker.infrastructure.clock import Every
from worker.infrastructure.dependencies import Deps
from worker.infrastructure.settings import MISSED_REPORTS

LOOK_EVERY_S = 5.0
"""A minute is written down so soon after its end."""
_THIN_EVERY_S = 600.0


class HistoryKeeper:
    """Keeps the history of one database; of several only one writes a minute down."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps
        self._thin_due = Every(_THIN_EVERY_S)

    def turn(self) -> None:
        """Write the minute down that has ended, where nobody has."""
        settings = self._deps.settings
        within_s = settings.report_interval_s * MISSED_REPORTS
        with self._deps.database.transaction() as connection:
            history.note(connection, processes_within_s=within_s)
        if self._thin_due.due():
            with self._deps.database.transaction() as connection:
                history.thin(connection, kept_s=settings.history_kept_s)
