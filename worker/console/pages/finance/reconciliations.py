"""Reconciliations: the last verdict, those before it, and what one of them found."""

from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from storage.finance.reconciliation import runs
from worker.console.page_table import FINANCE
from worker.console.visits import House, Visit, visited
from worker.finance.reconciliation import reconciliations
from worker.infrastructure.errors import Refused

_PAGE = 50
_SHOWN_MAX = 200
_DIGITS_MAX = 18
_EVER = (1 << 63) - 1


def routes(house: House) -> list[Route]:
    """Its routes."""
    path = "/finance/reconciliations"
    return [
        Route(path, visited(house, FINANCE, _list)),
        Route(f"{path}/{{reconciliation}}", visited(house, FINANCE, _show)),
    ]


def _list(visit: Visit) -> Response:
    before = _number(visit.query.get("before", ""))
    license_id = visit.key.license_id
    with visit.deps.database.reading() as connection:
        found = runs.newest(
            connection,
            license_id=license_id,
            before=before or _EVER,
            limit=_PAGE + 1,
        )
        last = None if license_id else runs.last_verdict(connection)
    shown = found[:_PAGE]
    more = {"before": shown[-1].id} if len(found) > _PAGE else {}
    return visit.show(
        "finance/reconciliations.html",
        reconciliations=shown,
        last=last,
        more=urlencode(more),
    )


def _show(visit: Visit) -> Response:
    run_id = _number(visit.request.path_params["reconciliation"])
    after = _number(visit.query.get("after", "")) or 0
    if run_id is None:
        raise HTTPException(404, "there is no such reconciliation")
    try:
        shown = reconciliations.show(
            visit.deps, run_id, after=after, limit=_SHOWN_MAX + 1
        )
    except Refused as error:
        raise HTTPException(404, "there is no such reconciliation") from error
    own = visit.key.license_id
    if own is not None and shown.run.license_id != own:
        raise HTTPException(404, "there is no such reconciliation")
    differences = shown.differences[:_SHOWN_MAX]
    has_more = len(shown.differences) > _SHOWN_MAX
    more = {"after": differences[-1].id} if has_more else {}
    return visit.show(
        "finance/reconciliation.html",
        run=shown.run,
        differences=differences,
        reasons=shown.reasons,
        more=urlencode(more),
    )


def _number(given: str) -> int | None:
    is_one = given.isascii() and given.isdecimal() and len(given) <= _DIGITS_MAX
    return int(given) if is_one else None
