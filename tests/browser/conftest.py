"""A browser at the console of a house that is up."""

from collections.abc import Iterator

import pytest

from tests.browser.chromium import WIDE, Browser, chromium, why_not
from tests.browser.shown_house import ShownHouse, fill, shown_house


@pytest.fixture(scope="session")
def house(tmp_path_factory) -> Iterator[ShownHouse]:
    """A house for all modules: each steers jobs of its own."""
    why = why_not()
    if why is not None:
        pytest.skip(why)
    with shown_house(tmp_path_factory.mktemp("browser")) as house:
        yield house


@pytest.fixture(scope="session")
def jobs(house: ShownHouse) -> dict[str, str]:
    """A job in each state, to be looked at alone."""
    return fill(house)


@pytest.fixture(scope="session")
def window(house: ShownHouse) -> Iterator[Browser]:
    """One Chromium for all tests."""
    with chromium(house.up.url) as browser:
        yield browser


@pytest.fixture
def stranger(window: Browser, house: ShownHouse) -> Iterator[Browser]:
    """Nobody has signed in. In the end nothing has gone wrong or asked elsewhere."""
    window.forget()
    yield window
    window.look(WIDE)
    assert window.complaints() == []
    assert window.hosts_asked() <= {house.up.url.removeprefix("http://")}


@pytest.fixture
def browser(stranger: Browser, house: ShownHouse) -> Browser:
    """An operator has signed in."""
    sign_in(stranger, house.key)
    return stranger


def sign_in(browser: Browser, key: str) -> None:
    """Sign in, as somebody does by hand."""
    browser.open("/console/sign-in")
    browser.one("#key").send_keys(key)
    browser.follow(browser.one("button.main"))
