"""`/healthz`: this process answers. `/readyz`: what it stands on answers too."""

from fastapi import FastAPI, Response
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from storage.jobs import heartbeats
from storage.ledger import audit_verdicts, business_clock
from storage.migrations.schema_version import is_migrated
from worker.infrastructure import clock
from worker.infrastructure.broker_probe import broker_answers
from worker.infrastructure.dependencies import connect
from worker.infrastructure.settings import MISSED_REPORTS, Settings
from worker.ledger.audit import late_after_s
from worker.ledger.business_clock import other_offset, state_of

_OK, _UNAVAILABLE = 200, 503

Parts = dict[str, str | list[str]]
"""What there is to know, by name."""


def add_routes(api: FastAPI, settings: Settings) -> None:
    """Add the two routes."""
    readiness = _Readiness(settings)

    @api.get("/healthz")
    def healthz() -> dict[str, str]:
        """Say that the process is there."""
        return {"status": "ok"}

    @api.get("/readyz")
    def readyz(response: Response) -> Parts:
        """Say what the process stands on; 503 until it can serve.

        A broken promise of the ledger is named, and does not make it 503.
        """
        parts = readiness.look()
        response.status_code = _OK if readiness.is_ready(parts) else _UNAVAILABLE
        return parts


class _Readiness:
    """What the last look found; under `up` workers are waited for once."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._database = connect(settings, pool=1)
        self._waits_for_workers = settings.under_up

    def look(self) -> Parts:
        parts = self._look_at_database()
        parts["broker"] = "ok" if broker_answers(self._settings) else "degraded"
        return parts

    def _look_at_database(self) -> Parts:
        within_s = self._settings.report_interval_s * MISSED_REPORTS
        names = ("database", "migrations", "clock", "dispatcher", "worker", "audit")
        parts: Parts = dict.fromkeys(names, "degraded")
        try:
            with self._database.transaction() as connection:
                parts["database"] = "ok"
                if is_migrated(connection):
                    parts["migrations"] = "ok"
                    parts["clock"] = self._clock(connection)
                    alive = heartbeats.alive(connection, within_s=within_s)
                    parts |= dict.fromkeys(alive, "ok")
                    parts |= self._look_at_audit(connection)
        except SQLAlchemyError:
            pass
        return parts

    def _clock(self, connection: Connection) -> str:
        """`ok`, `held_back`, or `offset_ignored` of this process's own setting."""
        reading = business_clock.read(connection)
        state = state_of(reading)
        if state == "ok" and other_offset(reading, self._settings.clock_offset_s):
            return "offset_ignored"
        return state

    def _look_at_audit(self, connection: Connection) -> Parts:
        """The last audit's verdict: when it was, and the checks that were violated."""
        found = audit_verdicts.verdict(
            connection, late_after_s=late_after_s(self._settings)
        )
        parts: Parts = {"audit": found.state}
        if found.audited_at is not None:
            parts["audited_at"] = str(clock.instant(found.audited_at))
        if found.violations:
            parts["violated"] = list(found.violations)
        return parts

    def is_ready(self, parts: Parts) -> bool:
        ready = parts["database"] == parts["migrations"] == "ok"
        if self._waits_for_workers:
            ready = ready and parts["dispatcher"] == parts["worker"] == "ok"
            self._waits_for_workers = not ready
        return ready
