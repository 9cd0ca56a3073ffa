"""The overview that console, API and terminal show: one look for all who watch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from threading import Lock

from storage.database import Database
from storage.operations import overview
from storage.operations.overview import OpenJob, Overview
from storage.operations.scope_pauses import ScopePause
from storage.pause_scope import PauseScope
from worker.findings.provider_names import DIRECTORY, VENDORS, order_of
from worker.findings.provider_registry import rates_of
from worker.infrastructure.clock import Stopwatch
from worker.infrastructure.outbound_limits.pauses import CONNECTION, PROVIDER, Pause
from worker.infrastructure.outbound_limits.rate_fills import (
    RateFill,
    Rates,
    fills_of,
)
from worker.infrastructure.outbound_limits.standing_pauses import pauses_of
from worker.infrastructure.settings import MISSED_REPORTS, Settings
from worker.operations.pace import Pace, PaceMemory

LOOK_EVERY_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderState:
    """A provider, and the pause that it is in; `is_known` is False without a Redis."""

    name: str
    rate: str
    """How often all workers together may ask it."""
    fills: tuple[RateFill, ...]
    """How much of each of its rates is left; none where Redis does not answer."""
    pause: Pause | None
    is_known: bool
    held: ScopePause | None
    """That an operator has paused it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OverviewReport:
    """What one look has found."""

    found: Overview
    paces: dict[str, Pace]
    providers: tuple[ProviderState, ...]
    connections: dict[str, Pause] | None
    """Those that nobody asks just now, by id; None where Redis does not answer."""

    def pace(self, job: OpenJob) -> Pace:
        """How fast a job is."""
        return self.paces[job.id]


def look_once(settings: Settings, database: Database) -> Overview:
    """How everything stands now, by one statement."""
    with database.reading() as connection:
        return overview.look(
            connection,
            small_job_records=settings.small_job_records,
            chunk_records=settings.chunk_records,
            silent_after_s=settings.report_interval_s * MISSED_REPORTS,
        )


class OverviewLook:
    """Looks at most once a second, however many ask; safe to ask from any thread."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._settings = settings
        self._database = database
        self._pace = PaceMemory()
        self._lock = Lock()
        self._since = Stopwatch()
        self._last: OverviewReport | None = None
        self._rates: dict[str, Rates] | None = None

    def report(self) -> OverviewReport:
        """How everything stands, or stood less than a second ago."""
        with self._lock:
            if self._last is None or self._since.elapsed_s >= LOOK_EVERY_S:
                self._last = self._look()
                self._since = Stopwatch()
            return self._last

    def forget(self) -> None:
        """Look anew when it is asked next: somebody has just changed something."""
        with self._lock:
            self._last = None

    def _look(self) -> OverviewReport:
        found = look_once(self._settings, self._database)
        self._pace.note(found.jobs, found.at)
        return OverviewReport(
            found=found,
            paces={job.id: self._pace.of(job, found.at) for job in found.jobs},
            providers=self._providers(found.held(PauseScope.PROVIDER)),
            connections=pauses_of(self._settings.limits_url, CONNECTION),
        )

    def _providers(self, held: Mapping[str, ScopePause]) -> tuple[ProviderState, ...]:
        names = [name for name in order_of(self._settings) if name != DIRECTORY]
        url = self._settings.limits_url
        pauses = pauses_of(url, PROVIDER) if names else {}
        fills = fills_of(url, PROVIDER, self._rates_of(names)) or {}
        return tuple(
            ProviderState(
                name=name,
                rate=getattr(self._settings, f"{VENDORS[name].prefix}_rate"),
                fills=tuple(fills.get(name, ())),
                pause=(pauses or {}).get(name),
                is_known=pauses is not None,
                held=held.get(name),
            )
            for name in names
        )

    def _rates_of(self, names: Sequence[str]) -> dict[str, Rates]:
        if self._rates is None:
            self._rates = {name: rates_of(self._settings, name) for name in names}
        return self._rates

    def close(self) -> None:
        """Close what it looks by."""
        self._database.close()
