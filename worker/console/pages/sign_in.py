"""Sign-in and sign-out."""

from functools import partial

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import ImmutableMultiDict
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from storage.licenses import api_keys
from storage.licenses.api_keys import Key
from worker.console import sessions
from worker.console.forms import ConsoleForm, SignInForm
from worker.console.mount import PATH
from worker.console.page_table import JOBS, OVERVIEW, SIGN_IN
from worker.console.visits import House, check_text, given_of
from worker.infrastructure.errors import Refused
from worker.licenses.api_keys import digest_of, is_bootstrap_key, keep_bootstrap_key

_UNKNOWN = "no key of an operator, observer, finance person or admin is like this"


def routes(house: House) -> list[Route]:
    """Its routes."""
    return [
        Route("/sign-in", partial(_show, house)),
        Route("/sign-in", partial(_sign_in, house), methods=["POST"]),
        Route("/sign-out", partial(_sign_out, house), methods=["POST"]),
    ]


async def _show(house: House, request: Request) -> Response:
    check_text(request)
    return _page(house, request, SignInForm(request.session, house.secret))


def _page(
    house: House, request: Request, form: SignInForm, *, status: int = 200
) -> Response:
    page = house.renderer.page(
        "sign_in.html", form=form, next=request.query_params.get("next", "")
    )
    return HTMLResponse(page, status)


async def _sign_in(house: House, request: Request) -> Response:
    check_text(request)
    given = await given_of(request)
    return await run_in_threadpool(_let_in, house, request, given)


def _let_in(
    house: House, request: Request, given: ImmutableMultiDict[str, str]
) -> Response:
    form = SignInForm(request.session, house.secret, given)
    if not form.validate():
        return _page(house, request, form, status=403)
    try:
        house.count_sign_in(request.client.host if request.client else "")
    except Refused as refused:
        form.key.errors = [refused.detail]
        return _page(house, request, form, status=429)
    key = _key(house, (form.key.data or "").strip())
    if key is None or key.scope not in SIGN_IN:
        form.key.errors = [_UNKNOWN]
        return _page(house, request, form, status=401)
    sessions.sign_in(request, key)
    return RedirectResponse(_next(given.get("next", ""), key), 303)


def _key(house: House, given: str) -> Key | None:
    if not given.isprintable():
        return None
    deps = house.deps
    if is_bootstrap_key(deps.settings, given):
        keep_bootstrap_key(deps)
    with deps.database.reading() as connection:
        return api_keys.use(connection, digest_of(given))


def _next(asked: str, key: Key) -> str:
    """What was asked for before, if it is of the console; else the first page."""
    if asked == PATH or asked.startswith(f"{PATH}/"):
        return asked
    shows_house = OVERVIEW.open_to(key.scope, key.license_id)
    return f"{PATH}/" if shows_house else f"{PATH}{JOBS.path}"


async def _sign_out(house: House, request: Request) -> Response:
    given = await given_of(request)
    return await run_in_threadpool(_let_out, house, request, given)


def _let_out(
    house: House, request: Request, given: ImmutableMultiDict[str, str]
) -> Response:
    form = ConsoleForm(request.session, house.secret, given)
    if form.validate():
        lasts_s = house.deps.settings.console_session_s
        sessions.sign_out(request, house.deps.database, most_s=lasts_s)
    return RedirectResponse(f"{PATH}/sign-in", 303)
