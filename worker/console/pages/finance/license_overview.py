"""A license's own overview: by a key that may see it, or by a link to it alone."""

from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import quote, urlencode

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from worker.console.console_actions import acting_of
from worker.console.forms import ConsoleForm
from worker.console.mount import PATH
from worker.console.page_table import FINANCE
from worker.console.visits import House, Visit, decode_path, visited
from worker.finance.balances import license_overview, overview_links
from worker.finance.balances.overview_links import OverviewLink
from worker.infrastructure.errors import BadInput

_PAGE = 50
_TABS = {"export": "Exports", "push": "CRM pushes"}


def routes(house: House) -> list[Route]:
    """Its routes."""
    own = "/licenses/{license:path}"
    return [
        Route(own, visited(house, FINANCE, _show)),
        Route(own, visited(house, FINANCE, _link), methods=["POST"]),
        Route("/shared/{license:path}", partial(_linked, house)),
    ]


def _show(visit: Visit, link: OverviewLink | None = None) -> Response:
    license_id = visit.request.path_params["license"]
    visit.check_sees(license_id)
    values = _values(visit.house, visit.request, license_id, {})
    return visit.show(
        "finance/overview.html",
        layout="base.html",
        link=link,
        make_link=visit.form(ConsoleForm),
        **values,
    )


def _link(visit: Visit) -> Response:
    license_id = visit.request.path_params["license"]
    visit.check_sees(license_id)
    base = str(visit.request.base_url).removesuffix("/").removesuffix(PATH)
    link = overview_links.make(visit.deps, license_id, base, acting_of(visit, "a link"))
    return _show(visit, link)


async def _linked(house: House, request: Request) -> Response:
    decode_path(request)
    return await run_in_threadpool(_shared, house, request)


def _shared(house: House, request: Request) -> Response:
    """The page for whoever has the link: of its license alone, and nothing to do."""
    license_id = request.path_params["license"]
    signed = {name: request.query_params.get(name, "") for name in _SIGNED}
    if not overview_links.opens(house.deps, license_id, **signed):
        raise HTTPException(404, "this link leads nowhere, or has expired")
    values = _values(house, request, license_id, signed)
    page = house.renderer.page(
        "finance/overview.html",
        layout="shared.html",
        link=None,
        make_link=None,
        **values,
    )
    return HTMLResponse(page)


_SIGNED = ("until", "signature")


def _values(
    house: House, request: Request, license_id: str, signed: dict[str, str]
) -> dict[str, Any]:
    """What both show; links on it keep what was `signed`. Raises 404 and 422."""
    asked = request.query_params
    period, kind = asked.get("period") or None, asked.get("kind", "export")
    if kind not in _TABS:
        raise HTTPException(422, f"kind: one of {', '.join(_TABS)}")
    try:
        overview = license_overview.of_license(house.deps, license_id, period)
        jobs = license_overview.jobs(
            house.deps,
            license_id,
            kind,
            period=period,
            before=asked.get("before") or None,
            limit=_PAGE + 1,
        )
    except BadInput as error:
        raise HTTPException(422, str(error)) from error
    url = _url(signed, {"period": period or "", "kind": kind})
    return {
        "overview": overview,
        "used": {one.key: one.credits for one in overview.by_kind},
        "tabs": _TABS,
        "kind": kind,
        "period": period or "",
        "signed": signed,
        "jobs": jobs[:_PAGE],
        "older": url(before=jobs[_PAGE - 1].id) if len(jobs) > _PAGE else None,
        "url": url,
        "here": f"{PATH}/licenses/{quote(license_id, safe='')}",
    }


def _url(signed: dict[str, str], asked: dict[str, str]) -> Callable[..., str]:
    """Makes the URL of the same page with something changed."""

    def url(**changed: str) -> str:
        query = {**signed, **asked, **changed}
        return f"?{urlencode({name: one for name, one in query.items() if one})}"

    return url
