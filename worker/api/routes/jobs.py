"""Jobs: submitted, followed, steered, and what became of them."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, Literal, NamedTuple

from fastapi import APIRouter, Body, Depends, Path, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import (
    JSONResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)

from storage.access_scopes import Scope
from storage.job_priority import Priority
from storage.jobs import job_reports, jobs, outcomes
from storage.jobs.job_reports import JobReport, WantedJobs
from storage.ledger import charges
from storage.operations import job_timeline
from storage.quotes import quotes
from storage.state_machine import JobState
from worker.api import cursors, models
from worker.api.access_control import (
    CheckedRoute,
    Whose,
    acting_of,
    allow,
    caller_of,
    license_itself,
    seen_license,
)
from worker.api.context import ApiContext, context_of
from worker.api.csv_response import csv_response
from worker.api.idempotency_keys import made_by, once_of
from worker.api.job_followers import EventStream
from worker.api.routes.quotes import WrittenRecords, reading_of, wanted_of
from worker.exports import manifest
from worker.infrastructure.errors import Code, Refused
from worker.jobs import job_control, job_retry, submission
from worker.jobs.delivery import RetryChanges
from worker.operations import turn_order
from worker.responses import credit_responses, job_responses, operation_responses
from worker.responses.response import Answer

router = APIRouter(route_class=CheckedRoute, tags=["jobs"])

JobId = Annotated[models.ClientId, Path(description="The job's id.")]

Steering = Annotated[models.Reasoned | None, Body()]

_PAGE = 500

_OF_IT = Whose("job", jobs.license_of)
_OF_BODY = (Whose("license", license_itself), Whose("quote", quotes.license_of))
_READERS = (Scope.PRODUCER, Scope.OPERATOR, Scope.OBSERVER, Scope.FINANCE)
_STEERERS = (Scope.PRODUCER, Scope.OPERATOR)


@router.post("/jobs", status_code=202, response_model=models.Job)
@allow(Scope.PRODUCER, body=_OF_BODY)
def create_job(
    request: Request, body: models.NewJob, records: WrittenRecords
) -> JSONResponse:
    """Reserve a quote's credits and enqueue its job, or quote and submit at once."""
    context = context_of(request)
    made = made_by(request)
    if made is None:
        made = _submit(context, request, body, records)
    # Written here: to be held against its model it would be handed to two threads more.
    return JSONResponse(_job(context, request, made), 202)


def _submit(
    context: ApiContext,
    request: Request,
    body: models.NewJob,
    records: WrittenRecords,
) -> str:
    once = once_of(request)
    if isinstance(body, models.QuotedJob):
        return submission.submit(context.deps, body.quote, name=body.name, once=once)
    return submission.submit_at_once(
        context.deps,
        wanted_of(body),
        reading_of(context, body, records),
        name=body.name,
        max_credits=body.max_credits,
        once=once,
    )


def _report(context: ApiContext, job_id: str) -> JobReport:
    with context.deps.database.reading() as connection:
        report = job_reports.job(connection, job_id)
    if report is None:
        raise Refused(Code.NOT_FOUND, f"there is no job {job_id}")
    return report


def _job(context: ApiContext, request: Request, job_id: str) -> Answer:
    report = _report(context, job_id)
    return job_responses.of_job(report, link=context.link(request, report))


class _Span(NamedTuple):
    """When jobs were created: from then on, and before."""

    start: datetime | None
    stop: datetime | None


def _span(
    from_: Annotated[models.Instant | None, Query(alias="from")] = None,
    to: Annotated[models.Instant | None, Query()] = None,
) -> _Span:
    return _Span(from_, to)


def _wanted(
    request: Request,
    created: Annotated[_Span, Depends(_span)],
    license: Annotated[models.ClientId | None, Query()] = None,
    kind: Literal["export", "push"] | None = None,
    state: models.State | None = None,
    user: Annotated[models.ClientId | None, Query()] = None,
    text: Annotated[models.Words | None, Query()] = None,
    waiting: Annotated[models.Words | None, Query()] = None,
) -> WantedJobs:
    return WantedJobs(
        license_id=seen_license(request, license),
        kind=kind,
        state=JobState(state) if state else None,
        user_id=user,
        created_from=created.start,
        created_to=created.stop,
        text=text,
        waiting_reason=waiting,
    )


@router.get("/jobs", response_model=models.Page[models.Job])
@allow(*_READERS)
def list_jobs(
    request: Request,
    wanted: Annotated[WantedJobs, Depends(_wanted)],
    limit: cursors.Limit = cursors.LIMIT,
    cursor: cursors.Cursor = None,
) -> Answer:
    """List jobs, the newest first.

    `text` holds beginnings of words of the name, or of the id; `waiting` is the reason.
    """
    context = context_of(request)
    before = cursors.decode(cursor) if cursor else None
    with context.deps.database.transaction() as connection:
        found = job_reports.jobs(
            connection, replace(wanted, before=before), limit=limit + 1
        )
    now = context.instant()
    return cursors.page(
        found,
        limit,
        lambda row: job_responses.of_job(row, link=context.link(request, row, now)),
        lambda row: row.id,
    )


@router.get("/jobs/{job}", response_model=models.Job)
@allow(*_READERS, of=_OF_IT)
def get_job(request: Request, job: JobId) -> JSONResponse:
    """Show a job."""
    return JSONResponse(_job(context_of(request), request, job))


@router.post("/jobs/{job}/cancel", status_code=202, response_model=models.Job)
@allow(*_STEERERS, of=_OF_IT)
def cancel_job(request: Request, job: JobId, body: Steering = None) -> Answer:
    """Stop a job; what was delivered stays charged, the rest is released."""
    job_control.cancel(context_of(request).deps, job, acting_of(request, body))
    return _job(context_of(request), request, job)


@router.post("/jobs/{job}/pause", status_code=202, response_model=models.Job)
@allow(*_STEERERS, of=_OF_IT)
def pause_job(request: Request, job: JobId, body: Steering = None) -> Answer:
    """Let a job rest; it keeps its reservation for a set time."""
    job_control.pause(context_of(request).deps, job, acting_of(request, body))
    return _job(context_of(request), request, job)


@router.post("/jobs/{job}/resume", status_code=202, response_model=models.Job)
@allow(*_STEERERS, of=_OF_IT)
def resume_job(request: Request, job: JobId, body: Steering = None) -> Answer:
    """Let a paused job go on."""
    job_control.resume(context_of(request).deps, job, acting_of(request, body))
    return _job(context_of(request), request, job)


@router.post("/jobs/{job}/give-up", status_code=202, response_model=models.Job)
@allow(Scope.OPERATOR, of=_OF_IT)
def give_up_job(request: Request, job: JobId, body: Steering = None) -> Answer:
    """End a job whose file cannot be sealed, and refund all that it cost."""
    job_control.give_up(context_of(request).deps, job, acting_of(request, body))
    return _job(context_of(request), request, job)


@router.put("/jobs/{job}/priority", response_model=models.Job)
@allow(Scope.OPERATOR, of=_OF_IT)
def set_priority(request: Request, job: JobId, body: models.NewPriority) -> Answer:
    """Let a job's chunks go sooner or later among those of its license."""
    context = context_of(request)
    priority = Priority[body.priority.upper()]
    turn_order.set_priority(context.deps, job, priority, acting_of(request, body))
    return _job(context, request, job)


@router.post("/jobs/{job}/retry", status_code=202, response_model=models.Job)
@allow(*_STEERERS, of=_OF_IT)
def retry_job(
    request: Request, job: JobId, body: Annotated[models.Retry | None, Body()] = None
) -> Answer:
    """Try the rejected and unreached records again, as a new job."""
    context = context_of(request)
    wanted = body or models.Retry()
    changes = RetryChanges(
        mapping=wanted.push.mapping.model_dump() if wanted.push else None,
        export=wanted.export.model_dump(exclude_unset=True) if wanted.export else None,
    )
    made = job_retry.retry(
        context.deps,
        job,
        max_credits=wanted.max_credits,
        changes=changes,
        by=acting_of(request, wanted),
    )
    return _job(context, request, made)


@router.get(
    "/jobs/{job}/events",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}}},
)
@allow(*_READERS, of=_OF_IT)
async def follow_job(request: Request, job: JobId) -> EventStream:
    """Follow a job to its end as server-sent events."""
    context = context_of(request)
    await run_in_threadpool(_report, context, job)

    def describe(report: JobReport, now: datetime) -> Answer:
        return job_responses.of_job(report, link=context.link(request, report, now))

    return EventStream(
        context.followers,
        job,
        caller_of(request).id,
        base_url=str(request.base_url),
        describe=describe,
    )


@router.get("/jobs/{job}/timeline", response_model=models.Page[models.TimelineEntry])
@allow(*_READERS, of=_OF_IT)
def show_timeline(request: Request, job: JobId) -> Answer:
    """Say what happened to a job, in order: by whom, and why."""
    context = context_of(request)
    _report(context, job)
    with context.deps.database.reading() as connection:
        entries = job_timeline.of_job(connection, job)
    items = [operation_responses.of_timeline_entry(entry) for entry in entries]
    return {"items": items, "next": None}


@router.get("/jobs/{job}/charges", response_model=models.Page[models.Charge])
@allow(Scope.PRODUCER, Scope.FINANCE, of=_OF_IT)
def list_job_charges(
    request: Request,
    job: JobId,
    limit: cursors.Limit = cursors.LIMIT,
    cursor: cursors.Cursor = None,
) -> Answer:
    """List a job's charges."""
    context = context_of(request)
    _report(context, job)
    with context.deps.database.transaction() as connection:
        found = charges.find(
            connection,
            charges.Wanted(job_id=job),
            after=cursors.decode_number(cursor, 0),
            limit=limit + 1,
        )
    return cursors.page(found, limit, credit_responses.of_charge, lambda row: row.id)


@router.get("/jobs/{job}/records", response_model=models.Page[models.RecordOutcome])
@allow(Scope.PRODUCER, of=_OF_IT)
def list_records(
    request: Request,
    job: JobId,
    limit: cursors.Limit = cursors.LIMIT,
    cursor: cursors.Cursor = None,
) -> Answer:
    """List what became of each record that was reached."""
    return _outcomes(request, job, limit, cursor, rejected=False)


@router.get(
    "/jobs/{job}/rejections",
    response_model=models.Page[models.Rejection],
    responses={200: {"content": {"text/csv": {}}}},
)
@allow(Scope.PRODUCER, of=_OF_IT)
def list_rejections(
    request: Request,
    job: JobId,
    format: Literal["json", "csv"] = "json",
    limit: cursors.Limit = cursors.LIMIT,
    cursor: cursors.Cursor = None,
) -> Answer | Response:
    """List the rejected records and why, a page at a time or all of them as CSV."""
    if format == "csv":
        context = context_of(request)
        _report(context, job)
        return csv_response(_REJECTION_COLUMNS, _rejections(context, job))
    return _outcomes(request, job, limit, cursor, rejected=True)


def _outcomes(
    request: Request, job_id: str, limit: int, cursor: str | None, *, rejected: bool
) -> Answer:
    context = context_of(request)
    _report(context, job_id)
    with context.deps.database.transaction() as connection:
        found = outcomes.of_job(
            connection,
            job_id,
            after=cursors.decode_number(cursor, 0),
            limit=limit + 1,
            rejected=rejected,
        )
    answer = job_responses.of_rejection if rejected else job_responses.of_outcome
    return cursors.page(found, limit, answer, lambda row: row.record)


_REJECTION_COLUMNS = (
    "record",
    "company_id",
    "person_id",
    "code",
    "field",
    "message",
    "link",
)


def _rejections(context: ApiContext, job_id: str) -> Iterator[list[Answer]]:
    after = 0
    while True:
        with context.deps.database.transaction() as connection:
            found = outcomes.of_job(
                connection, job_id, after=after, limit=_PAGE, rejected=True
            )
        yield [job_responses.of_rejection(row) for row in found]
        if len(found) < _PAGE:
            return
        after = found[-1].record


@router.get("/jobs/{job}/file", status_code=307, response_class=RedirectResponse)
@allow(Scope.PRODUCER, of=_OF_IT)
def get_file(request: Request, job: JobId) -> RedirectResponse:
    """Lead to the job's file, by a link that needs no key and expires."""
    context = context_of(request)
    report = _report(context, job)
    link = context.link(request, report, context.instant())
    if link is None:
        gone = "has left no file" if report.file_name is None else "had a file once"
        raise Refused(Code.NOT_FOUND, f"{job} {gone}")
    return RedirectResponse(link.url, 307)


@router.get("/jobs/{job}/manifest")
@allow(Scope.PRODUCER, of=_OF_IT)
def get_manifest(request: Request, job: JobId) -> dict[str, Any]:
    """Show what is in the job's file: records, credits, filters, digests."""
    context = context_of(request)
    if _report(context, job).file_artifact is None:
        raise Refused(Code.NOT_FOUND, f"{job} has left no file")
    return manifest.manifest_of(context.deps, job)
