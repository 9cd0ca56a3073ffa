"""A job's page: all that is known of one, and why it does not run."""

from typing import Any

from sqlalchemy import Connection
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from storage.findings import provider_costs
from storage.jobs import job_reports
from storage.jobs.job_reports import JobReport
from storage.licenses import licenses
from storage.operations import chunk_reports, job_detail, job_timeline
from storage.operations.chunk_reports import ChunkReport
from storage.state_machine import JobState
from worker.console.console_actions import offer
from worker.console.job_actions import SEND_AGAIN, chunk_offers, job_offers
from worker.console.page_table import JOBS
from worker.console.visits import House, Visit, visited
from worker.exports import manifest
from worker.exports.download_links import file_link
from worker.operations import chunk_logs, turn_order
from worker.operations.job_diagnosis import why_it_waits
from worker.operations.turn_order import JobTurn

_DIGITS_MAX = 18
_NO_FILE = "this job has no file, or has it no more"
_LINES_MAX = 60


def routes(house: House) -> list[Route]:
    """Its routes."""
    return [
        Route("/jobs/{job}", visited(house, JOBS, _show)),
        Route("/jobs/{job}/file", visited(house, JOBS, _file)),
        Route("/jobs/{job}/manifest", visited(house, JOBS, _manifest)),
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
        chosen = _chosen(visit, connection, report.id)
        values: dict[str, Any] = {
            "job": report,
            "why": why_it_waits(visit.deps, connection, report),
            "chunks": chunk_reports.of_job(connection, report.id),
            "chosen": chosen,
            "timeline": job_timeline.of_job(connection, report.id),
            "rejections": job_detail.rejections(connection, report.id),
            "charges": job_reports.charge_sums(connection, report.id),
            "costs": provider_costs.of_job(connection, report.id),
            "charged": provider_costs.charged(connection, report.id),
            "told": job_detail.told(connection, report.id),
            "lines": _lines(visit, chosen),
            "offers": [],
            "chunk_offers": [],
            "again": lambda delivery_id: offer(SEND_AGAIN, delivery_id),
        }
    if visit.may_steer:
        values["offers"] = job_offers(report)
        values["chunk_offers"] = chunk_offers(chosen) if chosen else []
    return visit.show("job.html", turn=_turn(visit, report), **values)


def _lines(visit: Visit, chosen: ChunkReport | None) -> list[str]:
    """What the logs of the home say of a chunk: of the house's machine, for its own."""
    if chosen is None or visit.key.license_id is not None:
        return []
    return chunk_logs.last_lines(visit.deps.settings, chosen.id, lines_max=_LINES_MAX)


def _turn(visit: Visit, report: JobReport) -> JobTurn | None:
    """Whose chunks go before its own, where it may run."""
    if report.state not in {JobState.QUEUED, JobState.RUNNING}:
        return None
    return turn_order.job_turn(visit.deps, report.id)


def _chosen(visit: Visit, connection: Connection, job_id: str) -> ChunkReport | None:
    asked = visit.query.get("chunk", "")
    if not asked.isdecimal() or len(asked) > _DIGITS_MAX:
        return None
    found = chunk_reports.chunk(connection, int(asked))
    return found if found is not None and found.job_id == job_id else None


def _manifest(visit: Visit) -> Response:
    """What is in the file, as the API tells it."""
    with visit.deps.database.reading() as connection:
        report = seen_job(visit, connection)
    if report.file_artifact is None:
        raise HTTPException(404, _NO_FILE)
    return JSONResponse(manifest.manifest_of(visit.deps, report.id))


def _file(visit: Visit) -> Response:
    """Lead to the file, by a link that expires."""
    with visit.deps.database.reading() as connection:
        report = seen_job(visit, connection)
        now = licenses.business_now(connection)
    base_url = str(visit.request.base_url.replace(path="/"))
    link = file_link(visit.deps, report, now, base_url)
    if link is None:
        raise HTTPException(404, _NO_FILE)
    return RedirectResponse(link.url, 307)
