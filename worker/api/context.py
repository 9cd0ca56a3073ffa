"""What the routes stand on: use cases and limits; one for each process."""

from dataclasses import dataclass
from datetime import datetime

from fastapi import Request

from storage.jobs.job_reports import JobReport
from storage.licenses import licenses
from worker.api.job_followers import JobFollowers
from worker.api.request_limits import RateLimit
from worker.console.mount import ConsoleMount
from worker.exports.download_links import Link, file_link, is_ours
from worker.wiring import Wired


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiContext:
    """What an API process holds."""

    deps: Wired
    rate: RateLimit
    followers: JobFollowers
    console: ConsoleMount

    def end_streams(self) -> None:
        """Let all go who follow: the process stops, and they may come back to another.

        Else it would wait for the ends of their jobs.
        """
        self.followers.end()
        self.console.end()

    def instant(self) -> datetime:
        """The instant that links end by: asked once for all links of an answer."""
        with self.deps.database.reading() as connection:
            return licenses.business_now(connection)

    def link(
        self, request: Request, report: JobReport, now: datetime | None = None
    ) -> Link | None:
        """A link to a job's file that needs no key and expires; `now` is asked for."""
        if report.file_artifact is None:
            return None
        return file_link(
            self.deps, report, now or self.instant(), str(request.base_url)
        )

    def opens(self, job_id: str, expires_at: datetime, signature: str) -> bool:
        """Whether a link was made here and has not expired."""
        return self.instant() < expires_at and is_ours(
            self.deps, job_id, expires_at, signature
        )


def context_of(request: Request) -> ApiContext:
    """The context that a request came through."""
    context: ApiContext = request.app.state.context
    return context
