"""Visits: one request of somebody who has signed in, and the checks before it.

In this order: the session (else to the sign-in), the page's scopes and whether it is of
the house (403), and for what is sent, the form's token (403).
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from urllib.parse import quote, unquote

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import ImmutableMultiDict
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from storage.access_scopes import Scope
from storage.licenses.api_keys import Key
from worker.console import sent_forms, sessions
from worker.console.charts import Charts
from worker.console.forms import ConsoleForm
from worker.console.live_overview import LiveOverview
from worker.console.mount import PATH
from worker.console.page_table import PAGES, STEERERS, Page
from worker.console.renderer import Renderer
from worker.console.sent_forms import SentForm
from worker.wiring import Wired

_NO_VALUES: Mapping[str, object] = MappingProxyType({})
_NUL = "\x00"


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """What all visits share."""

    deps: Wired
    renderer: Renderer
    secret: str
    live: LiveOverview
    charts: Charts
    count_sign_in: Callable[[str], None]
    """Counts a try to sign in from an address. Raises `Refused` after too many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A request of a key that may see the page."""

    request: Request
    house: House
    page: Page
    key: Key
    given: ImmutableMultiDict[str, str]
    """What a form has sent; empty where nothing was."""
    files: Mapping[str, bytes]
    """The files that were chosen in it."""

    @property
    def deps(self) -> Wired:
        """What use cases are given."""
        return self.house.deps

    @property
    def query(self) -> ImmutableMultiDict[str, str]:
        """What stands in the URL."""
        return self.request.query_params

    @property
    def may_steer(self) -> bool:
        """Whether this key may act, or only look."""
        return self.key.scope in STEERERS

    def check_sees(self, license_id: str | None) -> None:
        """Show nothing of another license to a bound key. Raises 404."""
        if license_id is None or self.key.license_id not in {None, license_id}:
            raise HTTPException(404, "there is no such thing")

    def check_is_of_house(self) -> None:
        """Let no bound key at what is of all licenses. Raises 403."""
        if self.key.license_id is not None:
            raise HTTPException(403, "this is of all licenses, and this key of one")

    def form(
        self, kind: type[ConsoleForm], values: Mapping[str, object] = _NO_VALUES
    ) -> Any:  # noqa: ANN401 - fields are set by WTForms
        """A form of this session, with what was sent; before that, with `values`."""
        sent = self.given if self.request.method == "POST" else None
        return kind(self.request.session, self.house.secret, sent, values)

    def show(self, template: str, *, status: int = 200, **values: object) -> Response:
        """The page."""
        return HTMLResponse(
            self.house.renderer.page(
                template,
                page=self.page,
                key=self.key,
                may_steer=self.may_steer,
                pages=[
                    page
                    for page in PAGES
                    if page.open_to(self.key.scope, self.key.license_id)
                ],
                sign_out=self.form(ConsoleForm).csrf_token.current_token,
                **values,
            ),
            status,
        )


Handler = Callable[[Visit], Response]


def sign_in_url(request: Request) -> str:
    """The sign-in, and from there back to what was asked for."""
    asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return f"{PATH}/sign-in?next={quote(asked, safe='')}"


def check_text(
    request: Request, given: ImmutableMultiDict[str, str] | None = None
) -> None:
    """Let nothing in that no text of the database can hold. Raises 404 or 422."""
    if any(_NUL in str(value) for value in request.path_params.values()):
        raise HTTPException(404, "there is no such thing")
    sent = [*request.query_params.multi_items(), *(given or {}).items()]
    if any(_NUL in name + value for name, value in sent):
        raise HTTPException(422, "text without NUL")


def decode_path(request: Request) -> None:
    """Let the ids of a path be as they are, now that the route has been found.

    Until then what they hold of `/` and `%` was kept encoded.
    """
    found = request.path_params
    request.scope["path_params"] = {
        name: unquote(value) if isinstance(value, str) else value
        for name, value in found.items()
    }


async def given_of(request: Request) -> ImmutableMultiDict[str, str]:
    """The fields of a form that was sent; empty where none was."""
    return _sent(request, await _body_of(request)).fields


async def _body_of(request: Request) -> bytes:
    return await request.body() if request.method == "POST" else b""


def _sent(request: Request, body: bytes) -> SentForm:
    return sent_forms.read(request.headers.get("Content-Type", ""), body)


def visited(
    house: House,
    page: Page,
    handler: Handler,
    *,
    acts: bool = False,
    renews: bool = True,
) -> Callable[[Request], Awaitable[Response]]:
    """The endpoint of a page or, where it `acts`, of an action on it.

    What a page asks for by itself `renews` no session.
    """

    def visit(request: Request, body: bytes) -> Response:
        lasts_s = house.deps.settings.console_session_s
        key = sessions.key_of(
            request, house.deps.database, most_s=lasts_s, renews=renews
        )
        if key is None:
            return RedirectResponse(sign_in_url(request), 303)
        # A file of many megabytes is read for whoever has signed in alone.
        given, files = _sent(request, body)
        check_text(request, given)
        visit = Visit(
            request=request, house=house, page=page, key=key, given=given, files=files
        )
        _check(visit, acts=acts)
        return handler(visit)

    async def endpoint(request: Request) -> Response:
        decode_path(request)
        check_text(request)
        return await run_in_threadpool(visit, request, await _body_of(request))

    return endpoint


def _check(visit: Visit, *, acts: bool) -> None:
    """Refuse what this key may not see or do, and forms of elsewhere. Raises 403."""
    page, key = visit.page, visit.key
    if not page.open_to(key.scope, key.license_id):
        raise HTTPException(403, _why_shut(page, key.scope))
    if acts and not visit.may_steer:
        raise HTTPException(403, f"a key of scope {key.scope} may look, and not act")
    if visit.request.method == "POST" and not _is_of_session(visit):
        raise HTTPException(403, "this form is not of your session, or too old")


def _why_shut(page: Page, scope: Scope) -> str:
    if scope not in page.scopes:
        return f"a key of scope {scope} may not see this page"
    return "this page is of all licenses, and this key is bound to one"


def _is_of_session(visit: Visit) -> bool:
    form = visit.form(ConsoleForm)
    form.validate()
    return "csrf_token" not in form.errors
