"""What the routes stand on: use cases and limits; one for each process."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from fastapi import Request

from storage import licenses
from storage.reports import JobReport
from worker.answers import Link
from worker.api.limits import RateLimit
from worker.wiring import Deps

_FILE_PURPOSE = "file"


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """What an API process holds."""

    deps: Deps
    rate: RateLimit

    def instant(self) -> datetime:
        """The instant that links end by: asked once for all links of an answer."""
        with self.deps.database.transaction() as connection:
            return licenses.business_now(connection)

    def link(self, request: Request, report: JobReport, now: datetime) -> Link | None:
        """A link to a job's file that needs no key and expires."""
        if report.file_artifact is None:
            return None
        settings = self.deps.settings
        expires_at = (now + timedelta(seconds=settings.file_link_s)).replace(
            microsecond=0
        )
        base = (settings.public_url or str(request.base_url)).rstrip("/")
        signature = self.deps.keyring.sign(
            _FILE_PURPOSE, _signed(report.id, expires_at)
        )
        return Link(
            f"{base}/v1/files/{report.id}?expires={expires_at.timestamp():.0f}"
            f"&signature={signature}",
            expires_at,
        )

    def opens(self, job_id: str, expires_at: datetime, signature: str) -> bool:
        """Whether a link was made here and has not expired."""
        return self.instant() < expires_at and self.deps.keyring.verify(
            _FILE_PURPOSE, _signed(job_id, expires_at), signature
        )


def _signed(job_id: str, expires_at: datetime) -> str:
    return f"{job_id} {expires_at.timestamp():.0f}"


def door_of(request: Request) -> Door:
    """The door that a request came through."""
    door: Door = request.app.state.door
    return door
