"""The overview, and what keeps it live."""

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from storage.pause_scope import PauseScope
from worker.console import sessions
from worker.console.charts import CHARTS, SPANS, sums
from worker.console.live_overview import OverviewStream
from worker.console.page_table import OVERVIEW
from worker.console.pages.shown_pauses import pauses_shown
from worker.console.visits import House, Visit, visited

_CHART_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""For whoever opens one by itself: its style stands in it, and nothing is run."""


def routes(house: House) -> list[Route]:
    """Its routes."""
    return [
        Route(OVERVIEW.path, visited(house, OVERVIEW, _show)),
        Route("/live", visited(house, OVERVIEW, _stream, renews=False)),
        Route(
            "/charts/{span}/{chart}.svg",
            visited(house, OVERVIEW, _chart, renews=False),
        ),
    ]


def _show(visit: Visit) -> Response:
    live = visit.house.live
    return visit.show(
        "overview.html",
        parts=live.rendered(live.report()),
        pauses=pauses_shown(visit, PauseScope.EVERYTHING),
        spans=SPANS,
        charts=CHARTS,
        sums={
            span: {name: sums(chart, points) for name, chart in CHARTS.items()}
            for span in SPANS
            for points in [visit.house.charts.points(span)]
        },
    )


def _chart(visit: Visit) -> Response:
    asked = visit.request.path_params
    if asked["span"] not in SPANS or asked["chart"] not in CHARTS:
        raise HTTPException(404, "there is no such chart")
    svg = visit.house.charts.svg(asked["chart"], asked["span"])
    headers = {"Content-Security-Policy": _CHART_POLICY}
    return Response(svg, media_type="image/svg+xml", headers=headers)


def _stream(visit: Visit) -> Response:
    settings = visit.deps.settings
    session = sessions.watched(
        visit.request, most_s=settings.console_session_s, idle_s=settings.console_idle_s
    )
    return OverviewStream(visit.house.live, session)
