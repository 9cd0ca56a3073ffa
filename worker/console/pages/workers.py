"""The workers and dispatchers."""

from starlette.responses import Response
from starlette.routing import Route

from worker.console.house_actions import worker_offers
from worker.console.page_table import WORKERS
from worker.console.visits import House, Visit, visited
from worker.operations import worker_drain


def routes(house: House) -> list[Route]:
    """Its route."""
    return [Route(WORKERS.path, visited(house, WORKERS, _show))]


def _show(visit: Visit) -> Response:
    found = worker_drain.every(visit.deps)
    may_steer = visit.may_steer
    shown = [(one, worker_offers(one) if may_steer else []) for one in found]
    return visit.show("workers.html", processes=shown)
