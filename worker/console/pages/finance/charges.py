"""The charges by what stands in the URL, and the page of one."""

from datetime import datetime
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from pricing.plans import Item
from storage.finance.statements.lines import VIEWS
from storage.ledger import charges
from storage.ledger.charges import Wanted
from worker.console.page_table import FINANCE
from worker.console.visits import House, Visit, visited
from worker.finance.explanations import explanations
from worker.finance.period_names import starts_of
from worker.infrastructure.errors import BadInput

_PAGE = 100
_DIGITS_MAX = 18
_FILTERS = ("license", "period", "item", "user", "job")


def routes(house: House) -> list[Route]:
    """Its routes."""
    return [
        Route("/finance/charges", visited(house, FINANCE, _list)),
        Route("/finance/charges/{charge}", visited(house, FINANCE, _show)),
    ]


def _list(visit: Visit) -> Response:
    filters = _filters(visit)
    after = visit.query.get("after", "")
    with visit.deps.database.reading() as connection:
        found = charges.find(
            connection,
            _wanted(filters),
            after=int(after) if _is_id(after) else 0,
            limit=_PAGE + 1,
        )
    shown = found[:_PAGE]
    more = {**filters, "after": shown[-1].id} if len(found) > _PAGE else {}
    return visit.show(
        "finance/charges.html",
        charges=shown,
        filters=filters,
        items=list(Item),
        first=urlencode(filters),
        is_first=not _is_id(after),
        more=urlencode(more),
    )


def _filters(visit: Visit) -> dict[str, str]:
    filters = {
        name: visit.query[name].strip()
        for name in _FILTERS
        if visit.query.get(name, "").strip()
    }
    if visit.key.license_id is not None:
        filters["license"] = visit.key.license_id
    return filters


def _wanted(filters: dict[str, str]) -> Wanted:
    """The charges that are asked for. Raises 422 for what no charge can be."""
    item = filters.get("item")
    if item is not None and item not in set(Item):
        raise HTTPException(422, f"item: one of {', '.join(Item)}")
    since, before = _starts(filters.get("period"))
    job = filters.get("job")
    return Wanted(
        license_id=filters.get("license"),
        job_id=job if job != VIEWS else None,
        views=True if job == VIEWS else None,
        user_id=filters.get("user"),
        item=item,
        period_starts_since=since,
        period_starts_before=before,
    )


def _starts(named: str | None) -> tuple[datetime | None, datetime | None]:
    if named is None:
        return None, None
    try:
        return starts_of(named)
    except BadInput as error:
        raise HTTPException(422, str(error)) from error


def _show(visit: Visit) -> Response:
    named = visit.request.path_params["charge"]
    found = None
    if _is_id(named):
        with visit.deps.database.reading() as connection:
            found = charges.get(connection, int(named))
    if found is None:
        raise HTTPException(404, "there is no such charge")
    visit.check_sees(found.license_id)
    explanation = explanations.explain(visit.deps, found.id)
    return visit.show("finance/charge.html", charge=found, explanation=explanation)


def _is_id(given: str) -> bool:
    return given.isascii() and given.isdecimal() and len(given) <= _DIGITS_MAX
