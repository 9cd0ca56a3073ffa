"""Errors as RFC 9457 has them: `application/problem+json`, with a stable code.

What nobody has foreseen is one too (`internal_error`): its `id` stands in the log, with
where it came from.
"""

import logging
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from storage.errors import StorageError, is_money_stopped
from worker.api import models
from worker.infrastructure.errors import BadInput, Code, NotConfigured, Refused
from worker.infrastructure.ids import new_id
from worker.responses import response

log = logging.getLogger(__name__)

_RETRY_AFTER_S = 5

RESTORED = "the database was restored: no credits move until an operator says so"

STATUS = {
    Code.INVALID_REQUEST: 422,
    Code.INSUFFICIENT_CREDITS: 402,
    Code.CREDITS_NOT_ALLOWED: 403,
    Code.FORBIDDEN: 403,
    Code.UNAUTHORIZED: 401,
    Code.NOT_FOUND: 404,
    Code.ALREADY_EXISTS: 409,
    Code.CEILING_EXCEEDED: 409,
    Code.QUOTE_EXPIRED: 409,
    Code.IDEMPOTENCY_MISMATCH: 409,
    Code.WRONG_STATE: 409,
    Code.TOO_LARGE: 413,
    Code.RATE_LIMITED: 429,
    Code.UNAVAILABLE: 503,
    Code.INTERNAL_ERROR: 500,
}

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")

_CODE_OF_STATUS = {
    401: Code.UNAUTHORIZED,
    403: Code.FORBIDDEN,
    404: Code.NOT_FOUND,
    405: Code.INVALID_REQUEST,
    413: Code.TOO_LARGE,
    416: Code.INVALID_REQUEST,
}


def problem(
    code: Code,
    detail: str,
    *,
    status: int | None = None,
    headers: dict[str, str] | None = None,
    **more: Any,  # noqa: ANN401 - a problem's own members
) -> JSONResponse:
    """An answer that says what is wrong; `more` are members of this problem."""
    number = status or STATUS[code]
    body = {
        "type": "about:blank",
        "title": HTTPStatus(number).phrase,
        "status": number,
        "code": code.value,
        "detail": detail,
        **more,
    }
    known = dict(headers or {})
    if number == STATUS[Code.UNAUTHORIZED]:
        known.setdefault("WWW-Authenticate", "Bearer")
    if number in {429, 503}:
        known.setdefault("Retry-After", str(_RETRY_AFTER_S))
    return JSONResponse(
        body, number, headers=known, media_type="application/problem+json"
    )


def add_handlers(api: FastAPI) -> None:
    """Let every error leave as a problem."""
    api.add_exception_handler(BadInput, _bad_input)
    api.add_exception_handler(Refused, _refused)
    api.add_exception_handler(RequestValidationError, _invalid)
    api.add_exception_handler(HTTPException, _http)
    api.add_exception_handler(ClientDisconnect, _hung_up)
    api.add_exception_handler(RecursionError, _nested)
    # What fails outside of `UnforeseenErrors`, in a middleware around it.
    api.add_exception_handler(Exception, _unforeseen)
    for accident in (OperationalError, PoolTimeout, StorageError, NotConfigured):
        api.add_exception_handler(accident, _unavailable)


class UnforeseenErrors:
    """Answers what nobody has foreseen, wherever inside it was raised."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; where it fails, say so, or break off what was begun."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def note(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, note)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is answered
            answer = _unforeseen(Request(scope), error)
            if not started:
                await answer(scope, receive, send)
            # Else the server sees an answer without its end, and cuts the client off.


def _unforeseen(request: Request, error: Exception) -> JSONResponse:
    error_id = new_id("error")
    what = (request.method, request.url.path)
    # The path as repr: a line end in it must not begin a line of the log.
    log.error("%s: %s %r failed", error_id, *what, exc_info=error)
    return problem(
        Code.INTERNAL_ERROR,
        f"something failed that should not; the log says what, under {error_id}",
        id=error_id,
    )


def _nested(_: Request, error: Exception) -> JSONResponse:
    log.info("refused what is nested too deeply: %r", error)
    return problem(Code.INVALID_REQUEST, "what was sent is nested too deeply")


def _bad_input(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, BadInput)  # noqa: S101 - registered for it
    errors = [response.of_problem(found) for found in error.problems]
    return problem(
        Code.INVALID_REQUEST, str(error), errors=errors, errors_total=error.total
    )


def _refused(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Refused)  # noqa: S101 - registered for it
    headers = {}
    if error.code is Code.RATE_LIMITED:
        headers["Retry-After"] = str(error.facts.get("retry_after_s", _RETRY_AFTER_S))
    return problem(error.code, error.detail, headers=headers, **error.facts)


def _invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for it
    errors = [_error(found) for found in error.errors()]
    first = errors[0]
    detail = f"{first.get('field', '')}: {first['message']}".removeprefix(": ")
    return problem(Code.INVALID_REQUEST, detail, errors=errors)


def _error(found: dict[str, Any]) -> dict[str, str]:
    """What is wrong with a field, or with a body as a whole."""
    if found["type"] == "json_invalid":
        place = found["loc"][-1]
        return {"message": f"is not JSON: {found['ctx']['error']} at character {place}"}
    path = found["loc"][1:]
    if path and path[0] in models.FORMS:
        path = path[1:]
    field = {"field": ".".join(map(str, path))} if path else {}
    return {"message": found["msg"]} | field


def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it
    code = _CODE_OF_STATUS.get(error.status_code)
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        # The router names the methods of the first route that it met alone.
        headers["Allow"] = ", ".join(_methods_at(request))
    if code is None:
        return problem(Code.INVALID_REQUEST, str(error.detail), headers=headers)
    return problem(code, str(error.detail), status=error.status_code, headers=headers)


def _methods_at(request: Request) -> list[str]:
    """The methods that the request's path answers to."""
    return [
        method
        for method in _METHODS
        if any(
            route.matches({**request.scope, "method": method})[0] is Match.FULL
            for route in request.app.routes
        )
    ]


def _hung_up(_: Request, error: Exception) -> JSONResponse:
    """Nobody reads it: half a request is no request, and no accident either."""
    log.info("a client hung up in mid-request: %r", error)
    return problem(Code.INVALID_REQUEST, "the request broke off")


def _unavailable(_: Request, error: Exception) -> JSONResponse:
    log.error("unavailable: %s", error)
    if isinstance(error, DBAPIError) and is_money_stopped(error):
        return problem(Code.UNAVAILABLE, RESTORED)
    return problem(Code.UNAVAILABLE, "something that this needs does not answer")
