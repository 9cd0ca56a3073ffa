"""The jobs: exports and pushes as two tabs, filtered by what stands in the URL."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from urllib.parse import quote, urlencode

from sqlalchemy import Connection
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from storage.jobs import job_reports
from storage.jobs.job_reports import JobReport, WantedJobs
from storage.licenses import licenses
from storage.operations import scope_pauses
from storage.operations.bulk_jobs import BulkVerb
from storage.operations.scope_pauses import ScopePause
from storage.pause_scope import PauseScope
from storage.state_machine import JobState
from worker.console.console_actions import Offer, offer
from worker.console.house_actions import SET_WEIGHT, scope_offer
from worker.console.page_table import JOBS
from worker.console.renderer import words
from worker.console.visits import House, Visit, visited

_PAGE = 50
KINDS = {"export": "Exports", "push": "CRM pushes"}
BULK_TITLES = {
    BulkVerb.PAUSE: "Pause all",
    BulkVerb.RESUME: "Resume all",
    BulkVerb.CANCEL: "Cancel all",
    BulkVerb.RETRY: "Retry all",
    BulkVerb.GIVE_UP: "Give up all",
}
_FILTERS = ("license", "state", "user", "from", "to", "text", "reason")


def routes(house: House) -> list[Route]:
    """Its route."""
    return [Route(JOBS.path, visited(house, JOBS, _show))]


class ShownLicense(NamedTuple):
    """The license that is filtered by: how it stands, and what can be done to it."""

    id: str
    name: str
    weight: float
    pause: ScopePause | None
    offers: Sequence[Offer]


def _license(
    visit: Visit, connection: Connection, license_id: str | None
) -> ShownLicense | None:
    """It, for whoever steers; None where none is filtered by, or there is none."""
    if license_id is None or not visit.may_steer:
        return None
    found = licenses.get(connection, license_id)
    if found is None:
        return None
    pause = scope_pauses.get(connection, PauseScope.LICENSE, license_id)
    offers = [scope_offer(PauseScope.LICENSE, license_id, is_paused=pause is not None)]
    if visit.key.license_id is None:
        offers.append(offer(SET_WEIGHT, quote(license_id, safe="")))
    return ShownLicense(found.id, found.name, found.weight, pause, offers)


class Asked(NamedTuple):
    """What the URL asks for: a tab, and the filters that are not empty."""

    kind: str
    filters: dict[str, str]

    @property
    def wanted(self) -> WantedJobs:
        """The jobs that are asked for. Raises 422 for what is no date."""
        filters = self.filters
        reason = filters.get("reason")
        return WantedJobs(
            license_id=filters.get("license"),
            kind=self.kind,
            state=JobState(filters["state"]) if "state" in filters else None,
            user_id=filters.get("user"),
            created_from=_day("from", filters.get("from")),
            created_to=_day("to", filters.get("to"), later=timedelta(days=1)),
            text=filters.get("text"),
            # As it is shown, or as its code.
            waiting_reason=reason and "_".join(reason.lower().split()),
        )

    def url(self, **changed: str) -> str:
        """The URL of the same with something changed."""
        query = {"kind": self.kind, **self.filters, **changed}
        return f"?{urlencode({name: one for name, one in query.items() if one})}"


def _day(
    name: str, given: str | None, *, later: timedelta = timedelta()
) -> datetime | None:
    """The beginning of a day, or so much later. Raises 422 for what is none."""
    if given is None:
        return None
    try:
        return datetime.strptime(given, "%Y-%m-%d").replace(tzinfo=UTC) + later
    except (ValueError, OverflowError) as error:
        raise HTTPException(422, f"{name}: a day, as 2026-05-31") from error


def asked_of(visit: Visit) -> Asked:
    """What is asked for. Raises 422 for what no job can be."""
    kind = visit.query.get("kind", "export")
    filters = {
        name: visit.query[name].strip()
        for name in _FILTERS
        if visit.query.get(name, "").strip()
    }
    if visit.key.license_id is not None:
        filters["license"] = visit.key.license_id
    if kind not in KINDS:
        raise HTTPException(422, f"kind: one of {', '.join(KINDS)}")
    if filters.get("state") not in {None, *map(str, JobState)}:
        raise HTTPException(422, f"state: one of {', '.join(JobState)}")
    return Asked(kind, filters)


def _suggested(shown: Sequence[JobReport]) -> dict[str, list[str]]:
    """What the filters offer while somebody types: what the jobs shown have."""
    return {
        "licenses": sorted({job.license_id for job in shown}),
        "users": sorted({job.user_id for job in shown}),
        "reasons": sorted(
            {words(job.waiting_reason) for job in shown if job.waiting_reason}
        ),
    }


def _show(visit: Visit) -> Response:
    asked = asked_of(visit)
    wanted = replace(asked.wanted, before=visit.query.get("before") or None)
    with visit.deps.database.transaction() as connection:
        found = job_reports.jobs(connection, wanted, limit=_PAGE + 1)
        license_ = _license(visit, connection, wanted.license_id)
    shown = found[:_PAGE]
    return visit.show(
        "jobs.html",
        asked=asked,
        license=license_,
        kinds=KINDS,
        used=sum(job.settled - job.refunded for job in shown),
        suggested=_suggested(shown),
        states=list(JobState),
        jobs=shown,
        older=asked.url(before=shown[-1].id) if len(found) > _PAGE else None,
        is_first="before" not in visit.query,
        bulk=BULK_TITLES if visit.may_steer else {},
    )
