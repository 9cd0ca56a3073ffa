"""The queues: what waits, whose turn it is, and the outbox."""

from starlette.responses import Response
from starlette.routing import Route

from worker.console.page_table import QUEUES
from worker.console.visits import House, Visit, visited


def routes(house: House) -> list[Route]:
    """Its route."""
    return [Route(QUEUES.path, visited(house, QUEUES, _show))]


def _show(visit: Visit) -> Response:
    return visit.show("queues.html", report=visit.house.live.report())
