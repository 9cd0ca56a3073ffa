"""The action log: who did what, when, why, and from where."""

from urllib.parse import urlencode

from starlette.responses import Response
from starlette.routing import Route

from storage.operations import action_log
from storage.operations.action_log import WantedActions
from worker.console.page_table import ACTIONS
from worker.console.visits import House, Visit, visited

_PAGE = 100
_DIGITS_MAX = 18


def routes(house: House) -> list[Route]:
    """Its route."""
    return [Route(ACTIONS.path, visited(house, ACTIONS, _show))]


def _show(visit: Visit) -> Response:
    filters = {
        name: visit.query[name].strip()
        for name in ("license", "job", "bulk")
        if visit.query.get(name, "").strip()
    }
    before = visit.query.get("before", "")
    wanted = WantedActions(
        license_id=visit.key.license_id or filters.get("license"),
        job_id=filters.get("job"),
        bulk_id=filters.get("bulk"),
        before=int(before) if _is_id(before) else None,
    )
    with visit.deps.database.reading() as connection:
        found = action_log.actions(connection, wanted, limit=_PAGE + 1)
    shown = found[:_PAGE]
    older = urlencode({**filters, "before": shown[-1].id}) if len(found) > _PAGE else ""
    return visit.show("actions.html", actions=shown, filters=filters, older=older)


def _is_id(given: str) -> bool:
    return given.isdecimal() and len(given) <= _DIGITS_MAX
