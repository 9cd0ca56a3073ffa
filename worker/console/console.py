"""The console's factory: its pages behind sessions, security headers and own errors."""

from collections.abc import Callable
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from worker.console import error_pages, sessions
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
    license_overview,
    licenses,
    reconciliations,
    refunds,
    statement,
    usage_file,
)
from worker.console.renderer import Renderer
from worker.console.visits import House
from worker.infrastructure.dependencies import connect
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
    license_overview,
    sign_in,
    licenses,
    statement,
    charges,
    reconciliations,
    usage_file,
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


def make_console(deps: Wired, count_sign_in: Callable[[str], None]) -> Starlette:
    """The console, to be mounted at `PATH`."""
    renderer = Renderer()
    look = OverviewLook(deps.settings, connect(deps.settings, pool=1))
    house = House(
        deps=deps,
        renderer=renderer,
        secret=sessions.secret_of(deps.keyring),
        live=LiveOverview(look, renderer, deps.database),
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
            Middleware(error_pages.UnforeseenErrors, renderer=renderer),
            Middleware(
                sessions.Sessions,
                secret=house.secret,
                path=PATH,
                idle_s=deps.settings.console_idle_s,
            ),
        ],
        exception_handlers=error_pages.handlers(renderer),
    )
    console.state.live = house.live
    return console


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
