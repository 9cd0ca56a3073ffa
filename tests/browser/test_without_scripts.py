"""With JavaScript off every page shows the same."""

from collections.abc import Iterator

import pytest

from tests.browser.chromium import Browser, chromium
from tests.browser.conftest import sign_in
from tests.browser.shown_pages import PAGES

_BONES = "h1, h2, h3, nav a, th, dt, caption, label, button, .offers a"
"""What stands on a page whatever happens meanwhile."""


@pytest.fixture(scope="module")
def plain(house) -> Iterator[Browser]:
    """A window without JavaScript, in which an operator has signed in."""
    with chromium(house.up.url, scripts=False) as browser:
        sign_in(browser, house.key)
        yield browser


def _bones(browser: Browser) -> list[str]:
    script = (
        "return [...document.querySelectorAll(arguments[0])].map((it) => it.innerText)"
    )
    found: list[str] = browser.run(script, _BONES)
    return found


def test_scripts_are_off_indeed(plain):
    plain.open("/console/")
    plain.open("/console/")
    assert plain.all("[data-live][data-fresh]") == []


@pytest.mark.parametrize("name", PAGES)
def test_a_page_shows_the_same_without_scripts(browser, plain, jobs, house, name):
    page = PAGES[name]
    path = page.path.format_map(jobs)
    key = house.finance_key if page.of_finance else house.key
    for one in (plain, browser):
        sign_in(one, key)
    plain.open(path)
    shown = plain.text("main")
    assert [words for words in page.says if words not in shown] == []
    browser.open(path)
    assert _bones(plain) == _bones(browser)
