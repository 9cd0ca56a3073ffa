"""The workers and dispatchers."""

from starlette.responses import Response
from starlette.routing import Route

from worker.console.page_table import WORKERS
from worker.console.visits import House, Visit, visited


def routes(house: House) -> list[Route]:
    """Its route."""
    return [Route(WORKERS.path, visited(house, WORKERS, _show))]


def _show(visit: Visit) -> Response:
    return visit.show("workers.html", report=visit.house.live.report())
