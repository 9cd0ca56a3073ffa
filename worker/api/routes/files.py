"""Files by signed links: no key, an end, and ranges."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException
from starlette.responses import MalformedRangeHeader, RangeNotSatisfiable

from storage.jobs import job_reports
from worker.api import models
from worker.api.context import context_of
from worker.exports.download_links import store_link
from worker.exports.file_names import media_type
from worker.exports.writers.formats import FORMATS
from worker.exports.writers.numbered_files import EXTENSION
from worker.infrastructure.errors import Code, Refused

router = APIRouter(tags=["files"])

_PROBLEM = {"$ref": "#/components/schemas/Problem"}
_BYTES = {"schema": {"type": "string", "format": "binary"}}
_CONTENT: dict[str, Any] = {
    media_type(f"file.{ending}").partition(";")[0]: _BYTES
    for ending in (*FORMATS, EXTENSION)
}
_YEAR_9999 = 253_402_300_799


class _File(FileResponse):
    """A file whose `Range` is taken as RFC 9110 has it, and refused as a problem."""

    @classmethod
    def _parse_range_header(
        cls, http_range: str, file_size: int
    ) -> list[tuple[int, int]]:
        try:
            return super()._parse_range_header(http_range, file_size)
        except MalformedRangeHeader:
            return []  # what cannot be read asks for nothing: the whole file
        except RangeNotSatisfiable as error:
            size = {"Content-Range": f"bytes */{error.max_size}"}
            raise HTTPException(416, "the file has no such part", size) from error


@router.get(
    "/files/{job}",
    response_class=FileResponse,
    responses={
        200: {"content": _CONTENT},
        307: {"description": "To where the file has moved"},
        206: {"description": "A part", "content": _CONTENT},
        416: {
            "description": "No such part",
            "content": {"application/problem+json": {"schema": _PROBLEM}},
        },
    },
)
def get_file(
    request: Request,
    job: models.ClientId,
    expires: Annotated[int, Query(ge=0, le=_YEAR_9999)],
    signature: Annotated[str, Query(max_length=200)],
) -> Response:
    """Download a job's file; `Range` asks for a part of it."""
    context = context_of(request)
    if not context.opens(job, datetime.fromtimestamp(expires, UTC), signature):
        raise Refused(Code.FORBIDDEN, "this link has expired, or was not made here")
    with context.deps.database.transaction() as connection:
        report = job_reports.job(connection, job)
    if report is None or report.file_artifact is None:
        raise Refused(Code.NOT_FOUND, f"{job} has left no file")
    moved = store_link(context.deps, report, context.instant())
    if moved is not None:
        # The link was made while files were kept in a folder.
        return RedirectResponse(moved.url)
    path = Path(context.deps.artifacts.locate(report.file_artifact))
    if not path.is_file():
        raise Refused(Code.NOT_FOUND, f"the file of {job} is gone")
    return _File(
        path,
        media_type=media_type(path.name),
        filename=report.file_name,
        # What it is was said: no browser looks into it for something else.
        headers={"X-Content-Type-Options": "nosniff"},
    )
