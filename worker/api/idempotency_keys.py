"""`Idempotency-Key`: the same request again is answered as it was the first time.

It belongs to the license that an API key is bound to, or to the house: a retry with
another API key of the same license finds what the first one made. An answer that holds
a secret is given again to the API key alone that asked for it.
What a request makes is noted in the transaction that makes it
(`storage.licenses.idempotency_keys`);
the answer is kept once it is there. A refusal is not remembered.
"""

import hashlib
from collections.abc import Awaitable, Callable

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response
from sqlalchemy import Connection

from storage.licenses import idempotency_keys
from storage.licenses.api_keys import Key
from storage.licenses.idempotency_keys import AlreadyMade, Once, Remembered
from worker.infrastructure.errors import Code, Refused
from worker.infrastructure.ids import check_id
from worker.wiring import Wired

IDEMPOTENCY_KEY = "Idempotency-Key"

_JSON = "application/json"
_TRIES_MAX = 5
_ERROR = 400

Handler = Callable[[Request], Awaitable[Response]]


async def replayed(
    deps: Wired, request: Request, handle: Handler, *, secret: bool = False
) -> Response:
    """Answer a request once, and the same again as before."""
    asked = _asked(request, await request.body())
    return await answered_once(deps, request, asked, handle, secret=secret)


async def spooled_once(
    deps: Wired, request: Request, spooled: str, handle: Handler, *, keep: bool = True
) -> Response:
    """The same for a body that was read already; `spooled` stands for all of it.

    Without `keep` the answer is given anew each time, of what was made the first time.
    """
    if IDEMPOTENCY_KEY not in request.headers:
        return await handle(request)
    asked = _asked(request, spooled.encode())
    return await answered_once(deps, request, asked, handle, keep=keep)


async def answered_once(
    deps: Wired,
    request: Request,
    asked: idempotency_keys.Request,
    handle: Handler,
    *,
    secret: bool = False,
    keep: bool = True,
) -> Response:
    """Look for the answer that was given, or give it and keep it."""
    for _ in range(_TRIES_MAX):
        before = await run_in_threadpool(_look_up, deps, asked, secret=secret)
        if before is not None and before.status is not None:
            return _again(deps, before, secret=secret)
        request.state.asked = asked
        request.state.made = before.made if before else None
        try:
            answer = await handle(request)
        except AlreadyMade:
            continue
        except Refused:
            # What the same request made at this moment may be why: a used quote.
            if await run_in_threadpool(_look_up, deps, asked, secret=secret) == before:
                raise
            continue
        if answer.status_code >= _ERROR or not keep:
            return answer
        if await run_in_threadpool(_keep, deps, asked, answer, secret=secret):
            return answer
    raise Refused(Code.UNAVAILABLE, "the same request is under way")


def _asked(request: Request, body: bytes) -> idempotency_keys.Request:
    """A request by who asks, and its own key for it. Raises `BadInput`."""
    key = request.headers[IDEMPOTENCY_KEY]
    check_id(IDEMPOTENCY_KEY, key)
    url = request.url
    parts = (request.method, url.path, url.query)
    digest = hashlib.sha256("\n".join(parts).encode() + b"\n" + body)
    caller: Key = request.state.caller
    return idempotency_keys.Request(
        key_id=caller.id,
        license_id=caller.license_id,
        idempotency_key=key,
        digest=digest.hexdigest(),
    )


def _look_up(
    deps: Wired, asked: idempotency_keys.Request, *, secret: bool
) -> Remembered | None:
    """What came of the same request.

    Raises `Refused` if it was another, or another API key's whose answer is secret.
    """
    with deps.database.reading() as connection:
        before = idempotency_keys.find(connection, asked)
    if before is not None and before.digest != asked.digest:
        raise Refused(
            Code.IDEMPOTENCY_MISMATCH,
            "this Idempotency-Key was used for another request",
        )
    if before is not None and secret and before.key_id != asked.key_id:
        raise Refused(
            Code.IDEMPOTENCY_MISMATCH,
            "another API key has sent this request, and its answer holds a secret, "
            "which is shown again to that API key alone: what it made is there; to "
            "make another, send another Idempotency-Key",
        )
    return before


def _again(deps: Wired, before: Remembered, *, secret: bool) -> Response:
    """The answer that was given, byte for byte."""
    assert before.answer is not None  # noqa: S101 - the caller looked
    assert before.status is not None  # noqa: S101 - it stands with its answer
    body = deps.keyring.decrypt(before.answer) if secret else before.answer
    return Response(body, before.status, media_type=_JSON)


def _keep(
    deps: Wired, asked: idempotency_keys.Request, answer: Response, *, secret: bool
) -> bool:
    """Keep an answer for whoever asks the same again; a secret one is encrypted.

    False where another answer was kept before: then that one is to be given.
    """
    body = bytes(answer.body).decode()
    kept = deps.keyring.encrypt(body) if secret else body
    with deps.database.transaction() as connection:
        return idempotency_keys.answered(connection, asked, answer.status_code, kept)


def once_of(request: Request) -> Once | None:
    """The note that goes with what this request makes, if it asked to be done once."""
    asked: idempotency_keys.Request | None = getattr(request.state, "asked", None)
    if asked is None:
        return None

    def once(connection: Connection, made: str) -> None:
        idempotency_keys.make(connection, asked, made)

    return once


def made_by(request: Request) -> str | None:
    """What the same request made before, if its answer was lost on the way."""
    made: str | None = getattr(request.state, "made", None)
    return made
