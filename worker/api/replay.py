"""`Idempotency-Key`: the same request again is answered as it was the first time.

What a request makes is noted in the transaction that makes it (see `storage.requests`);
the answer is kept once it is there. A refusal is not remembered.
"""

import hashlib
import json
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response
from sqlalchemy import Connection

from storage import requests
from storage.requests import AlreadyMade, Remembered
from worker.checks import check_id
from worker.errors import Code, Refused
from worker.once import Once
from worker.wiring import Deps

IDEMPOTENCY_KEY = "Idempotency-Key"

_TRIES_MAX = 5
_ERROR = 400

Handler = Callable[[Request], Awaitable[Response]]


async def replayed(
    deps: Deps, request: Request, handle: Handler, *, secret: bool = False
) -> Response:
    """Answer a request once, and the same again as before."""
    asked = _asked(request, await request.body())
    for _ in range(_TRIES_MAX):
        before = await run_in_threadpool(look_up, deps, asked)
        if before is not None and before.status is not None:
            return JSONResponse(_opened(deps, before.answer), before.status)
        request.state.asked = asked
        request.state.made = before.made if before else None
        try:
            answer = await handle(request)
        except AlreadyMade:
            continue
        if answer.status_code < _ERROR:
            await run_in_threadpool(keep, deps, asked, answer, secret=secret)
        return answer
    raise Refused(Code.UNAVAILABLE, "the same request is under way")


def _asked(request: Request, body: bytes) -> requests.Request:
    url = request.url
    parts = (request.method, url.path, url.query)
    digest = hashlib.sha256("\n".join(parts).encode() + b"\n" + body)
    return asked_by(request, digest.hexdigest())


def asked_by(request: Request, digest: str) -> requests.Request:
    """A request by the key that asks, and its own key for it. Raises `BadInput`."""
    key = request.headers[IDEMPOTENCY_KEY]
    check_id(IDEMPOTENCY_KEY, key)
    return requests.Request(
        key_id=request.state.caller.id, idempotency_key=key, digest=digest
    )


def look_up(deps: Deps, asked: requests.Request) -> Remembered | None:
    """What came of the same request. Raises `Refused` if it was another."""
    with deps.database.transaction() as connection:
        before = requests.find(connection, asked)
    if before is not None and before.digest != asked.digest:
        raise Refused(
            Code.IDEMPOTENCY_MISMATCH,
            "this Idempotency-Key was used for another request",
        )
    return before


_SEALED = "sealed"


def _opened(deps: Deps, answer: Any) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(answer, dict) and set(answer) == {_SEALED}:
        return json.loads(deps.keyring.decrypt(answer[_SEALED]))
    return answer


def keep(
    deps: Deps, asked: requests.Request, answer: Response, *, secret: bool = False
) -> None:
    """Keep an answer for whoever asks the same again; a secret one is encrypted."""
    body = bytes(answer.body) or b"null"
    if secret:
        body = json.dumps({_SEALED: deps.keyring.encrypt(body.decode())}).encode()
    with deps.database.transaction() as connection:
        requests.answered(
            connection, asked, answer.status_code, json.dumps(json.loads(body))
        )


def once_of(request: Request) -> Once | None:
    """The note that goes with what this request makes, if it asked to be done once."""
    asked: requests.Request | None = getattr(request.state, "asked", None)
    if asked is None:
        return None

    def once(connection: Connection, made: str) -> None:
        requests.make(connection, asked, made)

    return once


def made_by(request: Request) -> str | None:
    """What the same request made before, if its answer was lost on the way."""
    made: str | None = getattr(request.state, "made", None)
    return made
