"""Uploads: a file in the request's body, checked as it streams."""

import hashlib
import tempfile
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Annotated, Any, BinaryIO, NamedTuple

from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response

from storage.access_scopes import Scope
from storage.quotes.uploads import StoredUpload
from worker.api import models
from worker.api.access_control import CheckedRoute, allow
from worker.api.context import ApiContext, context_of
from worker.api.idempotency_keys import made_by, once_of, spooled_once
from worker.infrastructure.errors import Code, Refused
from worker.quotes import uploads
from worker.quotes.readers.files.declarations import Declared, declared, within
from worker.quotes.readers.formats import BY_CONTENT_TYPE
from worker.responses.response import Answer

router = APIRouter(route_class=CheckedRoute, tags=["uploads"])

_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            name: {"schema": {"type": "string", "format": "binary"}}
            for name in BY_CONTENT_TYPE
        },
    },
}


class _Asked(NamedTuple):
    license_id: str
    file: Declared
    skip_bad: bool


@router.post(
    "/uploads", status_code=201, response_model=models.Upload, openapi_extra=_BODY
)
@allow(Scope.PRODUCER, spools=True)
async def create_upload(
    request: Request,
    license: Annotated[models.ClientId, Query(description="Whose records.")],
    skip_bad: Annotated[bool, Query(description="Leave bad lines out.")] = False,
) -> Response:
    """Keep a file of records; bad lines refuse it, or are left out."""
    file = declared(
        request.headers.get("Content-Type", ""),
        request.headers.get("Content-Encoding", ""),
    )
    context, asked = context_of(request), _Asked(license, file, skip_bad)
    with tempfile.TemporaryFile() as spool:
        digest = await _spool(request, spool, context.deps.settings.upload_bytes_max)

        async def take_in(request: Request) -> Response:
            answer = await run_in_threadpool(_upload, context, request, spool, asked)
            return JSONResponse(answer, 201)

        return await spooled_once(
            context.deps, request, f"{file.words}\n{digest}", take_in
        )


async def _spool(request: Request, spool: BinaryIO, bytes_max: int) -> str:
    """Write the body to disk as it comes, and digest it."""
    digest, came = hashlib.sha256(), 0
    stream: AsyncIterator[bytes] = request.stream()
    async for data in stream:
        came += len(data)
        if came > bytes_max:
            detail = f"the upload is larger than {bytes_max} bytes"
            raise Refused(Code.TOO_LARGE, detail)
        digest.update(data)
        await run_in_threadpool(spool.write, data)
    return digest.hexdigest()


def _upload(
    context: ApiContext,
    request: Request,
    spool: BinaryIO,
    asked: _Asked,
) -> Answer:
    made = made_by(request)
    if made is not None:
        return _answer(uploads.find(context.deps, asked.license_id, made))
    spool.seek(0)
    options = within(context.deps.settings, asked.file.options)
    stored = uploads.upload(
        context.deps,
        asked.license_id,
        asked.file.format.read(
            spool, options=replace(options, skip_bad=asked.skip_bad)
        ),
        skip_bad=asked.skip_bad,
        once=once_of(request),
    )
    return _answer(stored)


def _answer(stored: StoredUpload) -> Answer:
    return {
        "id": stored.id,
        "records": stored.records,
        "companies": stored.companies,
        "persons": stored.persons,
        "duplicates": stored.duplicates,
        "trimmed": stored.trimmed or 0,
        "problems": [problem._asdict() for problem in stored.problems],
        "problems_total": stored.problems_total,
    }
