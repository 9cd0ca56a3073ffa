"""The console's factory: its pages behind sessions, security headers and own errors."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from worker.console import sessions
from worker.console.charts import Charts
from worker.console.live_overview import LiveOverview
from worker.console.mount import PATH
from worker.console.pages import (
    action_log,
    bulk,
    confirmation,
    connections,
    job,
    jobs,
    overview,
    providers,
    queues,
    sign_in,
    workers,
)
from worker.console.pages.finance import (
    charges,
    licenses,
    reconciliations,
    refunds,
    statement,
)
from worker.console.renderer import Renderer
from worker.console.visits import House
from worker.infrastructure.dependencies import connect
from worker.infrastructure.errors import Code, Refused
from worker.operations.overview import OverviewLook
from worker.wiring import Wired

_ASSETS = Path(__file__).parent / "assets"
_FAMILIES = (
    overview,
    jobs,
    job,
    queues,
    workers,
    connections,
    providers,
    action_log,
    confirmation,
    bulk,
    refunds,
    sign_in,
    licenses,
    statement,
    charges,
    reconciliations,
)

_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = (
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
_STATUS = {
    Code.NOT_FOUND: 404,
    Code.FORBIDDEN: 403,
    Code.WRONG_STATE: 409,
    Code.RATE_LIMITED: 429,
    Code.INVALID_REQUEST: 422,
}


def make_console(deps: Wired, count_sign_in: Callable[[str], None]) -> Starlette:
    """The console, to be mounted at `PATH`."""
    renderer = Renderer()
    look = OverviewLook(deps.settings, connect(deps.settings, pool=1))
    house = House(
        deps=deps,
        renderer=renderer,
        secret=sessions.secret_of(deps.keyring),
        live=LiveOverview(look, renderer),
        charts=Charts(deps.database),
        count_sign_in=count_sign_in,
    )
    routes: list[Route | Mount] = [
        route for family in _FAMILIES for route in family.routes(house)
    ]
    routes.append(Mount("/assets", StaticFiles(directory=_ASSETS)))
    console = Starlette(
        routes=routes,
        middleware=[
            Middleware(_SecurityHeaders),
            Middleware(
                sessions.Sessions,
                secret=house.secret,
                path=PATH,
                idle_s=deps.settings.console_idle_s,
            ),
        ],
        exception_handlers={
            HTTPException: partial(_refuse, renderer),
            Refused: partial(_refuse, renderer),
        },
    )
    console.state.live = house.live
    return console


def _refuse(renderer: Renderer, request: Request, error: Exception) -> Response:
    """Say what is wrong, as a page."""
    del request
    if isinstance(error, Refused):
        status, detail = _STATUS.get(error.code, 409), error.detail
    else:
        assert isinstance(error, HTTPException)  # noqa: S101 - registered for it
        status, detail = error.status_code, error.detail
    page = renderer.page("error.html", status=status, detail=detail)
    return HTMLResponse(page, status)


class _SecurityHeaders:
    """Lets a browser load nothing from elsewhere, and run nothing that a page holds.

    Pages are of the one who has signed in: nobody keeps them.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and add the headers to its answer."""

        async def add(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name for name, _ in message["headers"]}
                added = [each for each in _HEADERS if each[0] not in given]
                if b"cache-control" not in given and b"etag" not in given:
                    added.append((b"cache-control", b"no-store"))
                message["headers"] = [*message["headers"], *added]
            await send(message)

        await self._app(scope, receive, add)
