"""Requests to providers, as operators see them, and what providers were paid."""

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request

from storage.access_scopes import Scope
from storage.findings import lookup_pages, provider_costs
from storage.jobs import jobs
from storage.state_machine import LookupState
from worker.api import cursors, models
from worker.api.access_control import CheckedRoute, Whose, allow, seen_license
from worker.api.context import context_of
from worker.infrastructure.errors import Code, Refused
from worker.responses import credit_responses, provider_responses
from worker.responses.response import Answer

router = APIRouter(route_class=CheckedRoute, tags=["providers"])

JobId = Annotated[models.ClientId, Path(description="The job's id.")]
State = Literal["prepared", "sent", "answered", "expired"]


@router.get("/lookups", response_model=models.Page[models.Lookup])
@allow(Scope.OPERATOR, Scope.OBSERVER)
def list_lookups(
    request: Request,
    license: Annotated[models.ClientId | None, Query()] = None,
    state: State | None = None,
    limit: cursors.Limit = cursors.LIMIT,
    cursor: cursors.Cursor = None,
) -> Answer:
    """List requests that providers answer later, the newest first.

    One that stays `prepared` is in doubt: nobody knows whether it has arrived.
    """
    wanted = lookup_pages.WantedLookups(
        license_id=seen_license(request, license),
        state=LookupState(state) if state else None,
        before=cursors.decode(cursor) if cursor else None,
    )
    with context_of(request).deps.database.transaction() as connection:
        found = lookup_pages.page(connection, wanted, limit=limit + 1)
    return cursors.page(found, limit, provider_responses.of_lookup, lambda row: row.id)


@router.get("/jobs/{job}/costs", response_model=models.JobCosts)
@allow(Scope.OPERATOR, Scope.OBSERVER, Scope.FINANCE, of=Whose("job", jobs.license_of))
def show_costs(request: Request, job: JobId) -> Answer:
    """Show what each provider was paid for a job, beside what the job was charged."""
    with context_of(request).deps.database.transaction() as connection:
        if jobs.license_of(connection, job) is None:
            raise Refused(Code.NOT_FOUND, f"there is no job {job}")
        charged = provider_costs.charged(connection, job)
        paid = provider_costs.of_job(connection, job)
    return credit_responses.of_costs(job, charged, paid)
