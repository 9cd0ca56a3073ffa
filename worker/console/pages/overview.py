"""The overview, and what keeps it live."""

from starlette.responses import Response
from starlette.routing import Route

from storage.pause_scope import PauseScope
from worker.console.live_overview import OverviewStream
from worker.console.page_table import OVERVIEW
from worker.console.pages.shown_pauses import pauses_shown
from worker.console.visits import House, Visit, visited


def routes(house: House) -> list[Route]:
    """Its routes."""
    return [
        Route(OVERVIEW.path, visited(house, OVERVIEW, _show)),
        Route("/live", visited(house, OVERVIEW, _stream)),
    ]


def _show(visit: Visit) -> Response:
    live = visit.house.live
    return visit.show(
        "overview.html",
        parts=live.rendered(live.report()),
        pauses=pauses_shown(visit, PauseScope.EVERYTHING),
    )


def _stream(visit: Visit) -> Response:
    return OverviewStream(visit.house.live)
