"""The providers of e-mails and phones: whether they are asked, and until when not."""

from starlette.responses import Response
from starlette.routing import Route

from worker.console.page_table import PROVIDERS
from worker.console.visits import House, Visit, visited


def routes(house: House) -> list[Route]:
    """Its route."""
    return [Route(PROVIDERS.path, visited(house, PROVIDERS, _show))]


def _show(visit: Visit) -> Response:
    return visit.show("providers.html", report=visit.house.live.report())
