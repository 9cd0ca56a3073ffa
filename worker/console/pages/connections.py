"""The connections to CRMs, and whether they work."""

from starlette.responses import Response
from starlette.routing import Route

from storage.connections import connections
from storage.pause_scope import PauseScope
from worker.connections.connection_limits import limit_noted, rates_of
from worker.console.page_table import CONNECTIONS
from worker.console.pages.shown_pauses import pauses_shown
from worker.console.visits import House, Visit, visited
from worker.infrastructure.outbound_limits.pauses import CONNECTION
from worker.infrastructure.outbound_limits.rate_fills import fills_noted
from worker.infrastructure.outbound_limits.standing_pauses import pauses_of

_PAGE = 50


def routes(house: House) -> list[Route]:
    """Its route."""
    return [Route(CONNECTIONS.path, visited(house, CONNECTIONS, _show))]


def _show(visit: Visit) -> Response:
    license_id = visit.key.license_id or visit.query.get("license") or None
    with visit.deps.database.reading() as connection:
        found = connections.page(
            connection,
            license_id=license_id,
            after=visit.query.get("after") or None,
            limit=_PAGE + 1,
        )
    shown = found[:_PAGE]
    url = visit.deps.settings.limits_url
    rests = pauses_of(url, CONNECTION)
    ids = [one.id for one in shown]
    fills = fills_noted(
        url, CONNECTION, ids, lambda known: rates_of(limit_noted(known))
    )
    return visit.show(
        "connections.html",
        connections=shown,
        rests=rests or {},
        fills=fills or {},
        pauses=pauses_shown(visit, PauseScope.CONNECTION),
        is_known=rests is not None,
        after=shown[-1].id if len(found) > _PAGE else None,
        license_id=license_id,
    )
