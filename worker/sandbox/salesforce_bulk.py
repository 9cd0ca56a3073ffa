"""Bulk API 2.0: ingest jobs that take a CSV and work it off a moment later."""

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from worker.clock import monotonic_s
from worker.sandbox.behaviour import Fault, Vendor
from worker.sandbox.salesforce_org import KEY

_BLANK = "#N/A"
_LOCKED_EVERY = 4
_LOCK = "UNABLE_TO_LOCK_ROW:unable to obtain exclusive access to this record:--"

Write = Callable[..., dict[str, Any]]


@dataclass(slots=True)
class _Job:
    id: str
    type: str
    operation: str
    content: str = ""
    done_at_s: float | None = None
    worked_off: bool = False
    results: dict[str, list[dict[str, str]]] = field(
        default_factory=lambda: {
            "successfulResults": [],
            "failedResults": [],
            "unprocessedrecords": [],
        }
    )


class Ingest:
    """The ingest jobs of one org; `write` writes one row."""

    def __init__(self, vendor: Vendor, write: Write) -> None:
        self._vendor = vendor
        self._write = write
        self.jobs: dict[str, _Job] = {}

    async def create(self, request: web.Request) -> web.Response:
        """Open a job."""
        given = await request.json()
        upserts = given["operation"] == "upsert"
        if upserts and given.get("externalIdFieldName") != KEY:
            body = [{"errorCode": "INVALIDJOB", "message": "no such external id"}]
            return web.json_response(body, status=400)
        id_ = f"750{len(self.jobs):012d}AAA"
        self.jobs[id_] = _Job(id_, given["object"], given["operation"])
        return web.json_response(self._shown(self.jobs[id_]))

    async def upload(self, request: web.Request) -> web.Response:
        """Take the rows."""
        if not request.headers.get("Content-Type", "").startswith("text/csv"):
            return web.Response(status=415)
        self._job(request).content = await request.text()
        return web.Response(status=201)

    async def close(self, request: web.Request) -> web.Response:
        """Begin the work."""
        job = self._job(request)
        finish_s = self._vendor.behaviour.finish_ms / 1_000
        job.done_at_s = monotonic_s() + finish_s
        self._work(job)
        return web.json_response(self._shown(job))

    async def show(self, request: web.Request) -> web.Response:
        """Say how far it is."""
        return web.json_response(self._shown(self._job(request)))

    async def results(self, request: web.Request) -> web.Response:
        """Hand out what became of the rows."""
        rows = self._job(request).results[request.match_info["which"]]
        text = io.StringIO()
        names = list(dict.fromkeys(name for row in rows for name in row)) or ["sf__Id"]
        writer = csv.DictWriter(text, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        headers = {"Sforce-Locator": "null"}
        return web.Response(
            text=text.getvalue(), content_type="text/csv", headers=headers
        )

    def _job(self, request: web.Request) -> _Job:
        return self.jobs[request.match_info["job"]]

    def _shown(self, job: _Job) -> dict[str, Any]:
        state = "Open"
        if job.done_at_s is not None:
            done = monotonic_s() >= job.done_at_s
            state = "JobComplete" if done else "InProgress"
        return {"id": job.id, "object": job.type, "state": state}

    def _work(self, job: _Job) -> None:
        rows = list(csv.DictReader(io.StringIO(job.content)))
        locks = self._vendor.take_fault(Fault.LOCKED) is not None
        fewer = self._vendor.take_fault(Fault.FEWER) is not None
        for place, row in enumerate(rows):
            if fewer and place == len(rows) - 1:
                job.results["unprocessedrecords"].append(row)
            elif locks and place % _LOCKED_EVERY == 0:
                failed = {"sf__Id": "", "sf__Error": _LOCK, **row}
                job.results["failedResults"].append(failed)
            else:
                self._work_off(job, row)

    def _work_off(self, job: _Job, row: dict[str, str]) -> None:
        values = {
            name: None if value == _BLANK else value
            for name, value in row.items()
            if value and name != "Id"
        }
        upserts = job.operation == "upsert"
        told = self._write(
            job.type, row.get("Id"), values, upserts=upserts, allow=False
        )
        if told["success"]:
            created = str(bool(told.get("created"))).lower()
            done = {"sf__Id": told["id"], "sf__Created": created, **row}
            job.results["successfulResults"].append(done)
            return
        error = told["errors"][0]
        words = f"{error['statusCode']}:{error['message']}"
        words += f":{', '.join(error['fields'])} --"
        failed = {"sf__Id": "", "sf__Error": words, **row}
        job.results["failedResults"].append(failed)
