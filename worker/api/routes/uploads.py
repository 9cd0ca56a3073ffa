"""Uploads: a file in the request's body, checked as it streams or kept to be mapped."""

import hashlib
import tempfile
from collections.abc import AsyncIterator, Iterator
from itertools import islice
from typing import Annotated, Any, BinaryIO, Literal, NamedTuple

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response

from storage.access_scopes import Scope
from storage.uploads.uploads import StoredUpload, license_of
from worker.api import cursors, models
from worker.api.access_control import CheckedRoute, Whose, allow
from worker.api.context import ApiContext, context_of
from worker.api.csv_response import csv_response
from worker.api.idempotency_keys import made_by, once_of, spooled_once
from worker.infrastructure.errors import BadInput, Code, Problem, Refused, bad
from worker.quotes.readers.files.declarations import Declared, declared
from worker.quotes.readers.formats import BY_CONTENT_TYPE
from worker.responses import quote_responses
from worker.responses.response import Answer, of_problem
from worker.uploads import column_mappings, problem_files, templates, uploads
from worker.uploads.column_guesses import with_hint
from worker.uploads.mapping_options import Asked, prepared

router = APIRouter(route_class=CheckedRoute, tags=["uploads"])

UploadId = Annotated[models.ClientId, Path(description="The upload's id.")]

_OF_IT = Whose("upload", license_of)
_PAGE = 500

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
    template: str | None
    options: dict[str, Any]
    """What is said of the reading, and nothing that is not."""


_Word = Annotated[models.ReadingWord | None, Query()]


def _options(
    skip_bad: Annotated[bool, Query(description="Leave bad lines out.")] = False,
    encoding: _Word = None,
    delimiter: _Word = None,
    quote: _Word = None,
    sheet: _Word = None,
) -> dict[str, Any]:
    """What a query says of how a file is read, and nothing that it does not say."""
    said = {
        "encoding": encoding,
        "delimiter": delimiter,
        "quote": quote,
        "sheet": sheet,
        "skip_bad": skip_bad or None,
    }
    return {name: word for name, word in said.items() if word is not None}


@router.post(
    "/uploads",
    status_code=201,
    response_model=models.Upload | models.InspectedUpload,
    openapi_extra=_BODY,
)
@allow(Scope.PRODUCER, spools=True)
async def create_upload(
    request: Request,
    license: Annotated[models.ClientId, Query(description="Whose records.")],
    options: Annotated[dict[str, Any], Depends(_options)],
    inspect: Annotated[
        bool, Query(description="Keep the file, and answer what is seen in it.")
    ] = False,
    template: Annotated[
        models.ClientId | None, Query(description="The upload template to read it by.")
    ] = None,
) -> Response:
    """Keep a file of records; bad lines refuse it, or are left out.

    With `inspect` it is kept as it came, and its columns are mapped afterwards.
    """
    file = declared(
        request.headers.get("Content-Type", ""),
        request.headers.get("Content-Encoding", ""),
    )
    if inspect and template is not None:
        raise bad("template", "goes without inspect, which says which one fits")
    context = context_of(request)
    asked, take = _Asked(license, file, template, file.said | options), _upload
    if inspect:
        take = _inspect
    with tempfile.TemporaryFile() as spool:
        digest = await _spool(request, spool, context.deps.settings.upload_bytes_max)

        async def take_in(request: Request) -> Response:
            spool.seek(0)
            answer = await run_in_threadpool(take, context, request, spool, asked)
            return JSONResponse(answer, 201)

        # What is seen in a file tells of persons: it is looked at again, not kept.
        return await spooled_once(
            context.deps, request, f"{file.words}\n{digest}", take_in, keep=not inspect
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
    deps, made = context.deps, made_by(request)
    if made is not None:
        return quote_responses.of_upload(uploads.find(deps, asked.license_id, made))
    said = Asked(options=asked.options)
    if asked.template is not None:
        said = templates.applied(deps, asked.license_id, asked.template, said)
    ready = prepared(deps, asked.license_id, said)
    try:
        stored = uploads.upload(
            deps,
            asked.license_id,
            asked.file.format.read(spool, ready.mapping, ready.options),
            skip_bad=ready.options.skip_bad,
            once=once_of(request),
        )
    except BadInput as error:
        raise _hinted(error) from error
    return quote_responses.of_upload(stored)


_HINT = "with inspect=true the file is kept, and its columns can be mapped"


def _hinted(error: BadInput) -> BadInput:
    """What is wrong with a file, and what to do where its columns have other names."""
    return with_hint(error, lambda _: _HINT)


def _inspect(
    context: ApiContext,
    request: Request,
    spool: BinaryIO,
    asked: _Asked,
) -> Answer:
    deps, made = context.deps, made_by(request)
    if made is not None:
        stored = uploads.find(deps, asked.license_id, made)
        seen = column_mappings.look_again(deps, stored)
    else:
        stored, seen = column_mappings.keep(
            deps,
            asked.license_id,
            asked.file.format.content_type,
            spool,
            asked.options,
            once=once_of(request),
        )
    return {"id": stored.id, **quote_responses.of_seen(seen)}


@router.put("/uploads/{upload}/columns", response_model=models.Upload)
@allow(Scope.PRODUCER, of=_OF_IT)
def map_columns(
    request: Request, upload: UploadId, body: models.UploadColumns
) -> Answer:
    """Read a kept file by a mapping, again as long as no quote was made of it."""
    asked = asked_of(body)
    stored = column_mappings.map_columns(
        context_of(request).deps, upload, asked, body.template
    )
    return quote_responses.of_upload(stored)


def asked_of(body: models.UploadColumns | models.NewUploadTemplate) -> Asked:
    """What a body says of a file, and nothing that it does not say."""
    return Asked(
        columns=body.model_dump(include={"columns"})["columns"],
        options=body.options.model_dump(exclude_unset=True, exclude_none=True),
    )


@router.get(
    "/uploads/{upload}/problems",
    response_model=models.UploadProblems,
    responses={200: {"content": {"text/csv": {}}}},
)
@allow(Scope.PRODUCER, of=_OF_IT)
def list_problems(
    request: Request,
    upload: UploadId,
    format: Literal["json", "csv"] = "json",
    limit: cursors.Limit = cursors.LIMIT,
    cursor: cursors.Cursor = None,
) -> Answer | Response:
    """List what was wrong when an upload was last read, by pages or all as CSV."""
    context = context_of(request)
    stored = uploads.find(context.deps, None, upload)
    if format == "csv":
        return csv_response(("line", "field", "message"), _pages(context, stored))
    after = cursors.decode_number(cursor, 0)
    name = stored.problem_file
    if name is None:
        head, found = problem_files.NO_PROBLEMS, []
    else:
        artifacts = context.deps.artifacts
        head = problem_files.head_of(artifacts, name)
        problems = problem_files.problems_in(artifacts, name, after=after)
        found = list(islice(problems, limit + 1))
    answer = cursors.page(found, limit, of_problem, lambda _: after + limit)
    return {**answer, **head._asdict()}


def _pages(context: ApiContext, stored: StoredUpload) -> Iterator[list[Answer]]:
    if stored.problem_file is None:
        return
    found = problem_files.problems_in(context.deps.artifacts, stored.problem_file)
    while page := list(islice(found, _PAGE)):
        yield list(map(_line, page))


def _line(problem: Problem) -> Answer:
    return {**problem._asdict(), "line": problem.line or None}
