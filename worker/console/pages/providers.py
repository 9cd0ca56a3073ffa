"""The providers of e-mails and phones: whether they are asked, and until when not."""

from starlette.responses import Response
from starlette.routing import Route

from storage.pause_scope import PauseScope
from worker.console.page_table import PROVIDERS
from worker.console.pages.shown_pauses import pauses_shown
from worker.console.visits import House, Visit, visited


def routes(house: House) -> list[Route]:
    """Its route."""
    return [Route(PROVIDERS.path, visited(house, PROVIDERS, _show))]


def _show(visit: Visit) -> Response:
    return visit.show(
        "providers.html",
        report=visit.house.live.report(),
        pauses=pauses_shown(visit, PauseScope.PROVIDER),
    )
