"""Requests to providers, as operators see them, and what providers were paid."""

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request

from storage.enumerations import Scope
from storage.findings import lookup_pages, provider_costs
from storage.jobs import jobs
from storage.state_machine import LookupState
from worker import answers
from worker.answers import Answer
from worker.api import models, pages
from worker.api.door import door_of
from worker.api.guard import GuardedRoute, Whose, allow, seen_license
from worker.errors import Code, Refused

router = APIRouter(route_class=GuardedRoute, tags=["providers"])

JobId = Annotated[models.ClientId, Path(description="The job's id.")]
State = Literal["prepared", "sent", "answered", "expired"]


@router.get("/lookups", response_model=models.Page[models.Lookup])
@allow(Scope.OPERATOR)
def list_lookups(
    request: Request,
    license: Annotated[models.ClientId | None, Query()] = None,
    state: State | None = None,
    limit: pages.Limit = pages.LIMIT,
    cursor: pages.Cursor = None,
) -> Answer:
    """List requests that providers answer later, the newest first.

    One that stays `prepared` is in doubt: nobody knows whether it has arrived.
    """
    wanted = lookup_pages.WantedLookups(
        license_id=seen_license(request, license),
        state=LookupState(state) if state else None,
        before=pages.decode(cursor) if cursor else None,
    )
    with door_of(request).deps.database.transaction() as connection:
        found = lookup_pages.page(connection, wanted, limit=limit + 1)
    return pages.page(found, limit, answers.of_lookup, lambda row: row.id)


@router.get("/jobs/{job}/costs", response_model=models.JobCosts)
@allow(Scope.OPERATOR, Scope.FINANCE, of=Whose("job", jobs.license_of))
def show_costs(request: Request, job: JobId) -> Answer:
    """Show what each provider was paid for a job, beside what the job was charged."""
    with door_of(request).deps.database.transaction() as connection:
        if jobs.license_of(connection, job) is None:
            raise Refused(Code.NOT_FOUND, f"there is no job {job}")
        charged = provider_costs.charged(connection, job)
        paid = provider_costs.of_job(connection, job)
    return answers.of_costs(job, charged, paid)
