"""Files by signed links: no key, an end, and ranges."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse

from storage import reports
from worker.api import models
from worker.api.door import door_of
from worker.errors import Code, Refused

router = APIRouter(tags=["files"])

_YEAR_9999 = 253_402_300_799


@router.get(
    "/files/{job}",
    response_class=FileResponse,
    responses={
        200: {"content": {"application/octet-stream": {}}},
        206: {"description": "A part", "content": {"application/octet-stream": {}}},
        416: {"description": "No such part", "content": {"text/plain": {}}},
    },
)
def get_file(
    request: Request,
    job: models.ClientId,
    expires: Annotated[int, Query(ge=0, le=_YEAR_9999)],
    signature: Annotated[str, Query(max_length=200)],
) -> FileResponse:
    """Download a job's file; `Range` asks for a part of it."""
    door = door_of(request)
    if not door.opens(job, datetime.fromtimestamp(expires, UTC), signature):
        raise Refused(Code.FORBIDDEN, "this link has expired, or was not made here")
    with door.deps.database.transaction() as connection:
        report = reports.job(connection, job)
    if report is None or report.file_artifact is None:
        raise Refused(Code.NOT_FOUND, f"{job} has left no file")
    path = Path(door.deps.artifacts.locate(report.file_artifact))
    if not path.is_file():
        raise Refused(Code.NOT_FOUND, f"the file of {job} is gone")
    return FileResponse(
        path, media_type="application/octet-stream", filename=report.file_name
    )
