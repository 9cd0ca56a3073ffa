"""Chromium without a window, as somebody has it who is at the console.

Debian's own, by its driver. It notes what is asked for and what goes wrong in a page,
and axe looks at a page within it.
"""

import base64
import importlib.util
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from tests.support.fleet import until

with suppress(ImportError):  # whoever has none of it skips: see `why_not`
    from selenium.common.exceptions import WebDriverException
    from selenium.webdriver import ActionChains, Chrome, ChromeOptions
    from selenium.webdriver.chrome.service import Service

_PROGRAMS = ("chromium", "chromedriver")
_MODULES = ("selenium", "axe_playwright_python")
_OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
)
_SCRIPTS_OFF = {"profile.managed_default_content_settings.javascript": 2}
_GRAVE = ("serious", "critical")

TAB, ENTER = "\ue004", "\ue007"
"""Keys, by the code points that WebDriver has for them."""


def why_not() -> str | None:
    """Why no browser can be had here; None: one can."""
    missing = [name for name in _PROGRAMS if shutil.which(name) is None]
    missing += [name for name in _MODULES if importlib.util.find_spec(name) is None]
    if missing:
        return f"no {', '.join(missing)} here: .ci/browser installs them"
    return None


@cache
def _axe() -> str:
    spec = importlib.util.find_spec("axe_playwright_python")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).with_name("axe.min.js").read_text("utf-8")


class Look(NamedTuple):
    """How a page is looked at."""

    name: str
    width: int
    is_dark: bool


WIDE = Look("light", 1280, is_dark=False)
LOOKS = (
    WIDE,
    Look("dark", 1280, is_dark=True),
    Look("narrow", 390, is_dark=False),
    Look("narrow-dark", 390, is_dark=True),
)
_HEIGHT = 800


class Browser:
    """One window. Paths are those of one installation's console."""

    def __init__(self, driver: Any, url: str) -> None:
        self.driver = driver
        self.url = url

    def open(self, path: str) -> None:
        """Open a page."""
        self.driver.get(f"{self.url}{path}")

    @property
    def path(self) -> str:
        """Where it is now, with what it asks for."""
        parts = urlsplit(self.driver.current_url)
        return f"{parts.path}?{parts.query}" if parts.query else parts.path

    def text(self, selector: str = "body") -> str:
        """What is to be read in the first of such elements."""
        return str(self.one(selector).text)

    def one(self, selector: str) -> Any:
        """The first of such elements."""
        return self.driver.find_element("css selector", selector)

    def all(self, selector: str) -> list[Any]:
        """All such elements."""
        return list(self.driver.find_elements("css selector", selector))

    def texts(self, selector: str) -> list[str]:
        """What stands in each of such elements."""
        return [str(one.text) for one in self.all(selector)]

    def run(self, script: str, *given: Any) -> Any:
        """What a script says within the page."""
        return self.driver.execute_script(script, *given)

    def see(self, words: str, selector: str = "main") -> None:
        """Wait until it can be read in the page as it is, without another request."""
        until(lambda: words in self._read(selector), within_s=30)

    def _read(self, selector: str) -> str:
        # Parts of a live page are replaced while they are looked at.
        with suppress(WebDriverException):
            return self.text(selector)
        return ""

    def see_after_reload(self, words: str, path: str) -> None:
        """Open a page until it says so: what it shows is under way."""

        def look() -> bool:
            self.open(path)
            return words in self.text("main")

        until(look, within_s=60)

    def follow(self, element: Any) -> None:
        """Click on what leads to another page, and wait until that is there."""
        page = self.one("html")
        element.click()
        until(lambda: self._has_left(page), within_s=30)

    def _has_left(self, page: Any) -> bool:
        try:
            page.is_enabled()
        except WebDriverException:
            with suppress(WebDriverException):
                return bool(self.run("return document.readyState === 'complete'"))
        return False

    def link(self, words: str) -> Any:
        """The link of these words."""
        return self.driver.find_element("link text", words)

    def press(self, *keys: str) -> None:
        """Press keys, wherever the focus is."""
        ActionChains(self.driver).send_keys(*keys).perform()

    def focused(self) -> str:
        """What is to be read in whatever has the focus."""
        return str(
            self.run(
                "const one = document.activeElement;"
                "return one === document.body ? '' : one.getAttribute('aria-label')"
                " || one.innerText || one.name || one.id || one.tagName"
            )
        ).strip()

    def look(self, look: Look) -> None:
        """Look at pages like this from now on."""
        self._shape(look.width, _HEIGHT)
        scheme = "dark" if look.is_dark else "light"
        self.driver.execute_cdp_cmd(
            "Emulation.setEmulatedMedia",
            {"features": [{"name": "prefers-color-scheme", "value": scheme}]},
        )

    def _shape(self, width: int, height: int) -> None:
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {
                "width": width,
                "height": height,
                "deviceScaleFactor": 1,
                "mobile": False,
            },
        )

    def overflow(self) -> int:
        """By how much a page is wider than the window."""
        script = "return document.documentElement.scrollWidth - window.innerWidth"
        return int(self.run(script))

    def faults(self) -> list[str]:
        """What axe finds in the page that keeps somebody from using it."""
        self.run(_axe())
        found = self.driver.execute_async_script(
            "const done = arguments[arguments.length - 1];"
            "axe.run({resultTypes: ['violations']}).then((it) => done(it.violations))"
        )
        return [
            f"{each['id']} ({each['impact']}): {node['html'][:200]}"
            for each in found
            if each["impact"] in _GRAVE
            for node in each["nodes"]
        ]

    def shoot(self, file: Path) -> None:
        """Keep a picture of the whole page."""
        taken = self.driver.execute_cdp_cmd(
            "Page.captureScreenshot", {"captureBeyondViewport": True}
        )
        file.write_bytes(base64.b64decode(taken["data"]))

    def complaints(self) -> list[str]:
        """What has gone wrong in pages since this was asked last."""
        return [
            entry["message"]
            for entry in self.driver.get_log("browser")
            if entry["level"] == "SEVERE"
        ]

    def hosts_asked(self) -> set[str]:
        """The hosts that pages have asked for anything since this was asked last."""
        sent = [
            json.loads(entry["message"])["message"]
            for entry in self.driver.get_log("performance")
        ]
        urls = [
            urlsplit(each["params"]["request"]["url"])
            for each in sent
            if each["method"] == "Network.requestWillBeSent"
        ]
        return {url.netloc for url in urls if url.scheme not in {"data", "about"}}

    def forget(self) -> None:
        """Forget who has signed in."""
        self.driver.execute_cdp_cmd("Network.clearBrowserCookies", {})


@contextmanager
def chromium(url: str, *, scripts: bool = True) -> Iterator[Browser]:
    """A window, with or without JavaScript."""
    options = ChromeOptions()
    for option in _OPTIONS:
        options.add_argument(option)
    options.binary_location = shutil.which(_PROGRAMS[0]) or ""
    logs = {"browser": "ALL", "performance": "ALL"}
    options.set_capability("goog:loggingPrefs", logs)
    if not scripts:
        options.add_experimental_option("prefs", _SCRIPTS_OFF)
    driver = Chrome(options, Service(shutil.which(_PROGRAMS[1])))
    try:
        browser = Browser(driver, url)
        browser.look(WIDE)
        yield browser
    finally:
        driver.quit()
