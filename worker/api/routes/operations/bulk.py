"""One verb for all jobs that a filter matches."""

from fastapi import APIRouter, Request

from storage.access_scopes import Scope
from storage.jobs.job_reports import WantedJobs
from storage.operations.bulk_jobs import BulkVerb
from storage.state_machine import JobState
from worker.api import models
from worker.api.access_control import CheckedRoute, acting_of, allow, caller_of
from worker.api.context import context_of
from worker.operations import bulk_jobs
from worker.responses.response import Answer

router = APIRouter(route_class=CheckedRoute, tags=["operations"])


@router.post("/jobs/bulk", response_model=models.BulkAnswer)
@allow(Scope.OPERATOR)
def steer_jobs(request: Request, body: models.BulkBody) -> Answer:
    """Ask a verb of all jobs that a filter matches, or say of how many it would be."""
    deps = context_of(request).deps
    named = body.filter
    wanted = bulk_jobs.of_license(
        WantedJobs(
            license_id=named.license,
            kind=named.kind,
            state=JobState(named.state) if named.state else None,
            user_id=named.user,
            created_from=named.from_,
            created_to=named.to,
            text=named.text,
            waiting_reason=named.waiting,
        ),
        caller_of(request).license_id,
    )
    verb = BulkVerb(body.verb.replace("-", "_"))
    if body.dry_run:
        result = bulk_jobs.count(deps, verb, wanted)
    else:
        by = acting_of(request, body)
        result = bulk_jobs.steer(deps, verb, wanted, by, expected=body.expected)
    return {
        "matched": result.matched,
        "done": result.done,
        "skipped": result.skipped,
        "max": deps.settings.bulk_jobs_max,
        "bulk": result.bulk_id,
    }
