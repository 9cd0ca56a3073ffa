"""Uploads: a file in the request's body, checked as it streams."""

import hashlib
import tempfile
from collections.abc import AsyncIterator
from typing import Annotated, Any, BinaryIO

from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse

from storage.requests import AlreadyMade
from storage.states import Scope
from storage.uploads import StoredUpload
from worker import uploads
from worker.answers import Answer
from worker.api import models
from worker.api.door import Door, door_of
from worker.api.guard import GuardedRoute, allow, see_license
from worker.api.replay import IDEMPOTENCY_KEY, asked_by, keep, look_up, once_of
from worker.errors import Code, Refused, bad
from worker.readers import BY_CONTENT_TYPE

router = APIRouter(route_class=GuardedRoute, tags=["uploads"])

_TRIES_MAX = 3

_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            name: {"schema": {"type": "string", "format": "binary"}}
            for name in BY_CONTENT_TYPE
        },
    },
}


@router.post(
    "/uploads", status_code=201, response_model=models.Upload, openapi_extra=_BODY
)
@allow(Scope.PRODUCER, spools=True)
async def create_upload(
    request: Request,
    license: Annotated[models.ClientId, Query(description="Whose records.")],
    skip_bad: Annotated[bool, Query(description="Leave bad lines out.")] = False,
) -> Any:  # noqa: ANN401 - an answer, or one that was given before
    """Keep a file of records; bad lines refuse it, or are left out."""
    see_license(request, license)
    name = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if name not in BY_CONTENT_TYPE:
        raise bad("Content-Type", f"must be one of {', '.join(BY_CONTENT_TYPE)}")
    door = door_of(request)
    with tempfile.TemporaryFile() as spool:
        digest = await _spool(request, spool, door.deps.settings.upload_bytes_max)
        return await run_in_threadpool(
            _take_in, door, request, spool, (license, name, skip_bad, digest)
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


def _take_in(
    door: Door, request: Request, spool: BinaryIO, asked: tuple[str, str, bool, str]
) -> Any:  # noqa: ANN401 - an answer, or one that was given before
    license_id, content_type, skip_bad, digest = asked
    if IDEMPOTENCY_KEY not in request.headers:
        return _upload(door, request, spool, asked)
    whole = hashlib.sha256(
        f"{license_id}\n{content_type}\n{skip_bad}\n{digest}".encode()
    )
    once = asked_by(request, f"upload {whole.hexdigest()}")
    request.state.asked = once
    for _ in range(_TRIES_MAX):
        before = look_up(door.deps, once)
        if before is not None and before.status is not None:
            return JSONResponse(before.answer, before.status)
        if before is not None and before.made is not None:
            return _answer(uploads.find(door.deps, license_id, before.made))
        try:
            answer = _upload(door, request, spool, asked)
        except AlreadyMade:
            continue
        keep(door.deps, once, JSONResponse(answer, 201))
        return answer
    raise Refused(Code.UNAVAILABLE, "the same request is under way")


def _upload(
    door: Door, request: Request, spool: BinaryIO, asked: tuple[str, str, bool, str]
) -> Answer:
    license_id, content_type, skip_bad, _ = asked
    spool.seek(0)
    reading = BY_CONTENT_TYPE[content_type](spool)
    stored = uploads.upload(
        door.deps, license_id, reading, skip_bad=skip_bad, once=once_of(request)
    )
    return _answer(stored)


def _answer(stored: StoredUpload) -> Answer:
    return {
        "id": stored.id,
        "records": stored.records,
        "companies": stored.companies,
        "persons": stored.persons,
        "duplicates": stored.duplicates,
        "problems": [problem._asdict() for problem in stored.problems],
    }
