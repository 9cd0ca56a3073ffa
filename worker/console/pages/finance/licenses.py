"""Where finance begins: the licenses with their credits; then one with its periods."""

from datetime import datetime
from urllib.parse import quote, urlencode

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from storage.finance import license_figures
from storage.ledger import periods
from storage.ledger.periods import PeriodRow
from worker.console.console_actions import Offer, offer
from worker.console.finance_actions import CLOSE_PERIOD
from worker.console.page_table import FINANCE
from worker.console.visits import House, Visit, visited
from worker.infrastructure.clock import instant
from worker.licenses.licenses import open_license

_PAGE = 50


def routes(house: House) -> list[Route]:
    """Its routes."""
    return [
        Route(FINANCE.path, visited(house, FINANCE, _list)),
        Route("/finance/licenses/{license}", visited(house, FINANCE, _show)),
    ]


def _list(visit: Visit) -> Response:
    words = visit.query.get("text", "").strip()
    with visit.deps.database.reading() as connection:
        found = license_figures.page(
            connection,
            license_id=visit.key.license_id,
            words=words or None,
            after=visit.query.get("after") or None,
            limit=_PAGE + 1,
        )
    shown = found[:_PAGE]
    after = {"text": words, "after": shown[-1].id} if len(found) > _PAGE else {}
    return visit.show(
        "finance/licenses.html",
        licenses=shown,
        words=words,
        more=urlencode({name: one for name, one in after.items() if one}),
    )


def seen_license(visit: Visit) -> str:
    """The license that the path names. Raises 404 where this key may not see it."""
    license_id: str = visit.request.path_params["license"]
    visit.check_sees(license_id)
    return license_id


def _show(visit: Visit) -> Response:
    license_id = seen_license(visit)
    before = _before(visit.query.get("before"))
    # Opens the running one, and ends what is over.
    license_ = open_license(visit.deps, license_id)
    with visit.deps.database.reading() as connection:
        found = periods.of_license(
            connection, license_id, before=before, limit=_PAGE + 1
        )
    shown = found[:_PAGE]
    older = instant(shown[-1].starts_at) if len(found) > _PAGE else None
    return visit.show(
        "finance/license.html",
        license=license_,
        periods=[(row, _offer(license_id, row)) for row in shown],
        older=urlencode({"before": older}) if older else "",
    )


def _offer(license_id: str, row: PeriodRow) -> Offer | None:
    """Closing it, where it has ended and is not closed."""
    if row.ended_at is None or row.closed_at is not None:
        return None
    named = quote(license_id, safe="")
    return offer(CLOSE_PERIOD, f"{named}/{instant(row.starts_at)}")


def _before(given: str | None) -> datetime | None:
    if not given:
        return None
    try:
        at = datetime.fromisoformat(given)
    except ValueError as error:
        raise HTTPException(422, "before: an instant") from error
    if at.tzinfo is None:
        raise HTTPException(422, "before: an instant with its offset")
    return at
