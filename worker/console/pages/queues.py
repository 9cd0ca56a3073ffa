"""The queues: what waits, whose turn it is, and the outbox."""

from urllib.parse import quote

from starlette.responses import Response
from starlette.routing import Route

from storage.pause_scope import PauseScope
from worker.console.console_actions import offer
from worker.console.house_actions import ALL, REQUEUE, SET_WEIGHT
from worker.console.page_table import QUEUES
from worker.console.pages.shown_pauses import pauses_shown
from worker.console.visits import House, Visit, visited
from worker.operations import turn_order


def routes(house: House) -> list[Route]:
    """Its route."""
    return [Route(QUEUES.path, visited(house, QUEUES, _show))]


def _show(visit: Visit) -> Response:
    return visit.show(
        "queues.html",
        report=visit.house.live.report(),
        turns=turn_order.license_turns(visit.deps),
        requeue=offer(REQUEUE, ALL) if visit.may_steer else None,
        pauses=pauses_shown(visit, PauseScope.LICENSE),
        weigh=lambda license_id: offer(SET_WEIGHT, quote(license_id, safe="")),
    )
