"""Bulk API 2.0: ingest jobs that take a CSV and work it off while nobody waits."""

import asyncio
import csv
import io
import json
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from worker.sandbox.salesforce.org import KEY, Org, instant
from worker.sandbox.unspoken import one_of, only
from worker.sandbox.vendor_behaviour import Fault, Vendor

log = logging.getLogger(__name__)

_BLANK = "#N/A"
_LOCKED_EVERY = 4
_LOCK = "UNABLE_TO_LOCK_ROW:unable to obtain exclusive access to this record:--"
_SLICES = 10
"""Rows are committed so many times, while a job is under way."""
_PAGE = 150
"""Rows of one page of results."""
_JOB = (
    *("operation", "object", "externalIdFieldName"),
    *("contentType", "columnDelimiter", "lineEnding"),
)
_RESULTS = {
    "successfulresults": "successfulResults",
    "failedresults": "failedResults",
    "unprocessedrecords": "unprocessedrecords",
}
_ENDED = {"JobComplete", "Failed", "Aborted"}

Write = Callable[..., dict[str, Any]]


@dataclass(slots=True)
class _Job:
    id: str
    type: str
    operation: str
    content: str = ""
    state: str = "Open"
    error: str = ""
    created_at: str = field(default_factory=instant)
    stopped: asyncio.Event = field(default_factory=asyncio.Event)
    results: dict[str, list[dict[str, str]]] = field(
        default_factory=lambda: {
            "successfulResults": [],
            "failedResults": [],
            "unprocessedrecords": [],
        }
    )

    def abort(self) -> None:
        """Leave off: what is under way is committed, and nothing more is begun."""
        self.state = "Aborted"
        self.stopped.set()


class Ingest:
    """The ingest jobs of one org; `write` writes one row.

    A job goes on by itself, whatever becomes of whoever made it. What it has written
    and not committed yet is not to be seen, and its keys are taken.
    """

    def __init__(self, vendor: Vendor, org: Org, write: Write) -> None:
        self._vendor = vendor
        self._org = org
        self._write = write
        self._tasks: set[asyncio.Task[None]] = set()
        self.jobs: dict[str, _Job] = {}

    @property
    def running(self) -> int:
        """How many jobs are under way."""
        return len(self._tasks)

    @property
    def aborted(self) -> int:
        """How many jobs somebody has aborted."""
        return sum(job.state == "Aborted" for job in self.jobs.values())

    async def create(self, request: web.Request) -> web.Response:
        """Open a job."""
        given = await request.json()
        only(given, _JOB)
        one_of(given, "operation", "insert", "update", "upsert")
        one_of(given, "object", *self._org.fields)
        one_of(given, "contentType", "CSV")
        one_of(given, "columnDelimiter", "COMMA")
        one_of(given, "lineEnding", "LF", "CRLF")
        if not given.get("operation") or not given.get("object"):
            return _refusal("INVALIDJOB", "operation and object are needed")
        upserts = given["operation"] == "upsert"
        if "job" in self._org.troubles:
            return _refusal(self._org.troubles["job"], "no ingest job for you")
        if upserts and given.get("externalIdFieldName") != KEY:
            return _refusal("INVALIDJOB", "no such external id")
        id_ = f"750{len(self.jobs):012d}AAA"
        self.jobs[id_] = _Job(id_, given["object"], given["operation"])
        return web.json_response(_shown(self.jobs[id_], request.match_info["version"]))

    async def upload(self, request: web.Request) -> web.Response:
        """Take the rows."""
        if not request.headers.get("Content-Type", "").startswith("text/csv"):
            return web.Response(status=415)
        job = self._job(request)
        if job.state != "Open" or job.content:
            return _refusal("INVALIDJOBSTATE", f"the job is {job.state}")
        job.content = await request.text()
        return web.Response(status=201)

    async def change(self, request: web.Request) -> web.Response:
        """Begin the work, or leave off."""
        job, state = self._job(request), (await request.json())["state"]
        begins = state == "UploadComplete"
        if job.state in _ENDED or (begins and job.state != "Open"):
            return _refusal("INVALIDJOBSTATE", f"the job is {job.state}")
        if state == "Aborted":
            job.abort()
        else:
            job.state = state
            task = asyncio.create_task(self._worked_off(job))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            if not self._vendor.behaviour.finish_ms:
                await task
        return web.json_response(_shown(job, request.match_info["version"]))

    async def show(self, request: web.Request) -> web.Response:
        """Say how far it is."""
        return web.json_response(
            _shown(self._job(request), request.match_info["version"])
        )

    async def results(self, request: web.Request) -> web.Response:
        """Hand out what became of the rows."""
        job = self._job(request)
        if job.state not in _ENDED:
            return _refusal("INVALIDJOBSTATE", f"the job is {job.state}")
        if "text/csv" not in request.headers.get("Accept", ""):
            return web.Response(status=406)
        rows = job.results[_RESULTS[request.match_info["which"].lower()]]
        first = int(request.query.get("locator", "0"))
        page, rest = rows[first : first + _PAGE], rows[first + _PAGE :]
        text = io.StringIO()
        names = list(dict.fromkeys(name for row in rows for name in row)) or ["sf__Id"]
        writer = csv.DictWriter(text, names, lineterminator="\n", quoting=csv.QUOTE_ALL)
        writer.writeheader()
        writer.writerows(page)
        headers = {"Sforce-Locator": str(first + _PAGE) if rest else "null"}
        return web.Response(
            text=text.getvalue(), content_type="text/csv", headers=headers
        )

    def abort_all(self) -> None:
        """Abort what is under way, as an admin does on the screen."""
        for job in self.jobs.values():
            if job.state not in _ENDED:
                job.abort()

    def _job(self, request: web.Request) -> _Job:
        job = self.jobs.get(request.match_info["job"])
        if job is None:
            body = [{"errorCode": "NOT_FOUND", "message": "no such job"}]
            raise web.HTTPNotFound(
                text=json.dumps(body), content_type="application/json"
            )
        return job

    async def _worked_off(self, job: _Job) -> None:
        """Run a job to its end, also to one that nobody foresaw."""
        try:
            await self._run(job)
        except Exception as error:
            log.exception("the sandbox failed at the ingest job %s", job.id)
            job.state, job.error = "Failed", f"InternalServerError : {error!r}"

    async def _run(self, job: _Job) -> None:
        job.state = "InProgress"
        try:
            rows = _rows_of(job.content)
        except csv.Error as error:
            # Of what it cannot read, no row is told.
            job.state, job.error = "Failed", f"InvalidBatch : {error}"
            return
        unknown = {*(rows[0] if rows else ())} - {"Id", *self._org.fields[job.type]}
        if unknown:
            job.error = f"InvalidBatch : Field name not found : {min(unknown)}"
        job.error = job.error or self._org.troubles.get("batch", "")
        if job.error:
            job.state = "Failed"
            job.results["unprocessedrecords"] += rows
            return
        if self._vendor.take_fault(Fault.FEWER):
            job.results["unprocessedrecords"].append(rows.pop())
        locks = self._vendor.take_fault(Fault.LOCKED) is not None
        size = max(1, -(-len(rows) // _SLICES))
        for start in range(0, len(rows), size):
            if job.state == "Aborted":
                job.results["unprocessedrecords"] += rows[start:]
                return
            await self._commit(job, rows[start : start + size], locks=locks)
        job.state = "JobComplete" if job.state == "InProgress" else job.state

    async def _commit(
        self, job: _Job, rows: list[dict[str, str]], *, locks: bool
    ) -> None:
        for place, row in enumerate(rows):
            if locks and place % _LOCKED_EVERY == 0:
                failed = {"sf__Id": "", "sf__Error": _LOCK, **row}
                job.results["failedResults"].append(failed)
            else:
                self._work_off(job, row)
        slice_s = self._vendor.behaviour.finish_ms / 1_000 / _SLICES
        with suppress(TimeoutError):
            await asyncio.wait_for(job.stopped.wait(), slice_s)
        for done in job.results["successfulResults"]:
            self._org.records[done["sf__Id"]].committed = True

    def _work_off(self, job: _Job, row: dict[str, str]) -> None:
        values = {
            name: None if value == _BLANK else value
            for name, value in row.items()
            if value and name != "Id"
        }
        upserts = job.operation == "upsert"
        # The header that lets duplicates in is none of this API.
        told = self._write(
            job.type,
            row.get("Id"),
            values,
            upserts=upserts,
            creates=job.operation == "insert",
            allow=False,
            commits=False,
        )
        if told["success"]:
            created = str(bool(told.get("created"))).lower()
            done = {"sf__Id": told["id"], "sf__Created": created, **row}
            job.results["successfulResults"].append(done)
            return
        error = told["errors"][0]
        fields = ", ".join(error["fields"])
        words = f"{error['statusCode']}:{error['message']}:"
        words += f"{fields} --" if fields else "--"
        failed = {"sf__Id": "", "sf__Error": words, **row}
        job.results["failedResults"].append(failed)


def _rows_of(content: str) -> list[dict[str, str]]:
    """The rows of a file. Raises `csv.Error` where it cannot be read."""
    reader = csv.DictReader(io.StringIO(content, newline=""), strict=True)
    rows = list(reader)
    if any(None in row or None in row.values() for row in rows):
        raise csv.Error("a row has more or fewer cells than there are columns")
    return rows


def _shown(job: _Job, version: str) -> dict[str, Any]:
    """A job as each answer tells of it."""
    failed, done = (
        len(job.results[name]) for name in ("failedResults", "successfulResults")
    )
    return {
        "id": job.id,
        "object": job.type,
        "operation": job.operation,
        "state": job.state,
        "createdDate": job.created_at,
        "systemModstamp": job.created_at,
        "apiVersion": float(version.removeprefix("v")),
        "concurrencyMode": "Parallel",
        "contentType": "CSV",
        "columnDelimiter": "COMMA",
        "lineEnding": "LF",
        "jobType": "V2Ingest",
        "contentUrl": f"services/data/{version}/jobs/ingest/{job.id}/batches",
        "numberRecordsProcessed": failed + done,
        "numberRecordsFailed": failed,
        "retries": 0,
        "totalProcessingTime": 0,
        **({"externalIdFieldName": KEY} if job.operation == "upsert" else {}),
        **({"errorMessage": job.error} if job.error else {}),
    }


def _refusal(code: str, message: str) -> web.Response:
    body = [{"errorCode": code, "message": message}]
    return web.json_response(body, status=400)
