"""Error pages: whatever goes wrong is said in the console's look, with its headers."""

import logging
from collections.abc import Callable

from sqlalchemy.exc import DataError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from storage.errors import StorageError
from worker.console.renderer import Renderer
from worker.infrastructure.errors import BadInput, Code, NotConfigured, Refused
from worker.infrastructure.ids import new_id

log = logging.getLogger(__name__)

_STATUS = {
    Code.NOT_FOUND: 404,
    Code.FORBIDDEN: 403,
    Code.WRONG_STATE: 409,
    Code.RATE_LIMITED: 429,
    Code.INVALID_REQUEST: 422,
    Code.UNAVAILABLE: 503,
}
_RETRY_AFTER_S = 5
_UNAVAILABLE = (
    *(OperationalError, InterfaceError, PoolTimeout, StorageError),
    NotConfigured,
)

Handler = Callable[[Request, Exception], Response]


def handlers(renderer: Renderer) -> dict[type[Exception], Handler]:
    """What answers each kind of error."""

    def page(status: int, detail: str) -> Response:
        shown = renderer.page("error.html", status=status, detail=detail)
        return HTMLResponse(shown, status)

    def http(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 - registered for it
        return page(error.status_code, error.detail)

    def refused(_: Request, error: Exception) -> Response:
        assert isinstance(error, Refused)  # noqa: S101 - registered for it
        return page(_STATUS.get(error.code, 409), error.detail)

    def invalid(_: Request, error: Exception) -> Response:
        log.info("refused what cannot be: %r", error)
        told = str(error) if isinstance(error, BadInput) else "nothing can be like this"
        return page(422, told)

    def unavailable(_: Request, error: Exception) -> Response:
        log.error("unavailable: %s", error)
        answer = page(
            503, "the database, or something else this needs, is away just now"
        )
        answer.headers["Retry-After"] = str(_RETRY_AFTER_S)
        return answer

    return {
        HTTPException: http,
        Refused: refused,
        BadInput: invalid,
        DataError: invalid,
        **dict.fromkeys(_UNAVAILABLE, unavailable),
    }


class UnforeseenErrors:
    """Answers what nobody has foreseen, wherever inside it was raised."""

    def __init__(self, app: ASGIApp, *, renderer: Renderer) -> None:
        self._app = app
        self._renderer = renderer

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
        except ClientDisconnect:
            raise
        except Exception as error:
            if started:
                raise
            await self._page(Request(scope), error)(scope, receive, send)

    def _page(self, request: Request, error: Exception) -> Response:
        error_id = new_id("error")
        # The path as repr: a line end in it must not begin a line of the log.
        what = (request.method, request.url.path)
        log.error("%s: %s %r failed", error_id, *what, exc_info=error)
        detail = (
            f"something failed that should not; the log says what, under {error_id}"
        )
        return HTMLResponse(
            self._renderer.page("error.html", status=500, detail=detail), 500
        )
