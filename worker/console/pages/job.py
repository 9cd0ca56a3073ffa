"""A job's page: all that is known of one, and why it does not run."""

from typing import Any

from sqlalchemy import Connection
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from storage.findings import provider_costs
from storage.jobs import job_reports
from storage.jobs.job_reports import JobReport
from storage.licenses import licenses
from storage.operations import job_detail
from worker.console.page_table import JOBS
from worker.console.visits import House, Visit, visited
from worker.exports.download_links import file_link
from worker.operations.job_diagnosis import why_it_waits

_CHUNKS_MAX = 5_000


def routes(house: House) -> list[Route]:
    """Its routes."""
    return [
        Route("/jobs/{job}", visited(house, JOBS, _show)),
        Route("/jobs/{job}/file", visited(house, JOBS, _file)),
    ]


def seen_job(visit: Visit, connection: Connection) -> JobReport:
    """The job that the path names. Raises 404 where this key may not see it."""
    report = job_reports.job(connection, visit.request.path_params["job"])
    if report is None:
        raise HTTPException(404, "there is no such job")
    visit.check_sees(report.license_id)
    return report


def _show(visit: Visit) -> Response:
    with visit.deps.database.reading() as connection:
        report = seen_job(visit, connection)
        chunks = job_detail.chunks(connection, report.id, limit=_CHUNKS_MAX)
        values: dict[str, Any] = {
            "job": report,
            "why": why_it_waits(visit.deps, connection, report),
            "chunks": chunks,
            "chosen": _chosen(visit, connection, report.id),
            "rejections": job_detail.rejections(connection, report.id),
            "charges": job_reports.charge_sums(connection, report.id),
            "costs": provider_costs.of_job(connection, report.id),
            "charged": provider_costs.charged(connection, report.id),
            "told": job_detail.told(connection, report.id),
        }
    return visit.show("job.html", **values)


def _chosen(
    visit: Visit, connection: Connection, job_id: str
) -> job_detail.ChunkRow | None:
    asked = visit.query.get("chunk", "")
    if not asked.isdecimal():
        return None
    return job_detail.chunk(connection, job_id, int(asked))


def _file(visit: Visit) -> Response:
    """Lead to the file, by a link that expires."""
    with visit.deps.database.reading() as connection:
        report = seen_job(visit, connection)
        now = licenses.business_now(connection)
    base_url = str(visit.request.base_url.replace(path="/"))
    link = file_link(visit.deps, report, now, base_url)
    if link is None:
        raise HTTPException(404, "this job has no file, or has it no more")
    return RedirectResponse(link.url, 307)
