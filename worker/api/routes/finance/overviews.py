"""A license's own overview, and links to it."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import JSONResponse

from storage.access_scopes import Scope
from worker.api import cursors, models
from worker.api.access_control import (
    CheckedRoute,
    Whose,
    acting_of,
    allow,
    license_itself,
)
from worker.api.context import context_of
from worker.api.csv_response import csv_response
from worker.api.models.finance import balances as bodies
from worker.finance.balances import balance_responses, license_overview, overview_links
from worker.infrastructure.clock import instant
from worker.responses.response import Answer

router = APIRouter(route_class=CheckedRoute, tags=["finance"])

LicenseId = Annotated[models.ClientId, Path(description="The license's id.")]
Period = Annotated[
    models.PeriodName | None,
    Query(description="Its starts_at or that month; by default the running one."),
]
Format = Literal["json", "csv"]

_OF_IT = Whose("license", license_itself)
_CSV: dict[int | str, dict[str, Any]] = {200: {"content": {"text/csv": {}}}}
_USERS = ("user", "credits", "count")
_JOBS = ("job", "kind", "name", "user", "state", "created_at", "reserved", "credits")


@router.get(
    "/licenses/{license}/overview", response_model=bodies.Overview, responses=_CSV
)
@allow(Scope.FINANCE, of=_OF_IT)
def get_overview(
    request: Request, license: LicenseId, period: Period = None, format: Format = "json"
) -> Response:
    """Show what of a period is used and remains, per user and by kind of job.

    As CSV a line for each user.
    """
    found = license_overview.of_license(context_of(request).deps, license, period)
    answer = balance_responses.of_overview(found)
    if format == "csv":
        return csv_response(_USERS, iter([answer["by_user"]]))
    return JSONResponse(answer)


@router.get(
    "/licenses/{license}/overview/jobs",
    response_model=models.Page[bodies.OverviewJobCredits],
    responses=_CSV,
)
@allow(Scope.FINANCE, of=_OF_IT)
def list_job_credits(
    request: Request,
    license: LicenseId,
    kind: Literal["export", "push"],
    period: Period = None,
    format: Format = "json",
    limit: cursors.Limit = cursors.LIMIT,
    cursor: cursors.Cursor = None,
) -> Response:
    """List the exports or the pushes of a period with the credits that they used.

    As CSV all of them.
    """
    deps = context_of(request).deps
    if format == "csv":
        pages = license_overview.every_job(deps, license, kind, period=period)
        answers = (list(map(balance_responses.of_job_credits, page)) for page in pages)
        return csv_response(_JOBS, answers)
    before = cursors.decode(cursor) if cursor else None
    found = license_overview.jobs(
        deps, license, kind, period=period, before=before, limit=limit + 1
    )
    return JSONResponse(
        cursors.page(found, limit, balance_responses.of_job_credits, lambda row: row.id)
    )


@router.post(
    "/licenses/{license}/overview-links",
    status_code=201,
    response_model=bodies.OverviewLink,
)
@allow(Scope.FINANCE, of=_OF_IT, secret=True)
def make_overview_link(
    request: Request, license: LicenseId, body: bodies.NewOverviewLink
) -> Answer:
    """Make a link to the overview: it needs no key, shows it alone, and expires."""
    link = overview_links.make(
        context_of(request).deps,
        license,
        str(request.base_url),
        acting_of(request, None),
        lasts_s=body.lasts_s,
    )
    return {"url": link.url, "expires_at": instant(link.expires_at)}
