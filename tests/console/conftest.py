"""Browsers without scripts: clients that keep cookies, follow links, send forms."""

import re
from collections.abc import Callable, Iterator

import httpx
import pytest

from storage.access_scopes import Scope
from tests.api.conftest import Api, serving
from worker.licenses import api_keys

SIGN_IN = "/console/sign-in"
_TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')

Browse = Callable[..., "Browser"]


class Browser:
    """What somebody sees who has no scripts."""

    def __init__(self, url: str) -> None:
        self.http = httpx.Client(base_url=url, timeout=30, follow_redirects=True)

    def open(self, path: str) -> httpx.Response:
        """Open a page, wherever it leads."""
        return self.http.get(path)

    def token(self, path: str) -> str:
        """The token of the last form of a page."""
        return str(_TOKEN.findall(self.open(path).text)[-1])

    def send(
        self, path: str, *, of: str | None = None, **fields: str
    ) -> httpx.Response:
        """Send a form, as it stands on the page `of`."""
        token = self.token(of or path)
        return self.http.post(path, data={"csrf_token": token, **fields})

    def sign_in(self, key: str, **fields: str) -> httpx.Response:
        """Sign in with a key."""
        return self.send(SIGN_IN, key=key, **fields)


@pytest.fixture
def api(database_url: str, tmp_path, settings: dict[str, object]) -> Iterator[Api]:
    with serving(database_url, tmp_path, settings) as served:
        yield served


@pytest.fixture
def settings() -> dict[str, object]:
    """What a test sets beside the usual."""
    return {}


@pytest.fixture
def stranger(api: Api) -> Iterator[Browser]:
    """A browser that has not signed in."""
    browser = Browser(api.url)
    yield browser
    browser.http.close()


@pytest.fixture
def browse(api: Api) -> Iterator[Browse]:
    """Makes browsers that have signed in with a new key."""
    browsers: list[Browser] = []

    def make(
        scope: Scope = Scope.OPERATOR,
        license_id: str | None = None,
        *,
        person: str | None = None,
    ) -> Browser:
        browser = Browser(api.url)
        browsers.append(browser)
        named = f"{scope} of a test"
        _, key = api_keys.create(api.deps, named, scope, license_id, person=person)
        assert browser.sign_in(key).status_code in {200, 403}
        return browser

    yield make
    for browser in browsers:
        browser.http.close()
