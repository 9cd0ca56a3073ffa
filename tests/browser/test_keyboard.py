"""Whoever has only a keyboard gets everywhere."""

from tests.browser.chromium import ENTER, TAB, Browser
from tests.support.fleet import until

_TABS_MAX = 60


def _stops(browser: Browser) -> list[str]:
    """What the tab key leads to, one after the other, until it leaves the page."""
    stops: list[str] = []
    for _ in range(_TABS_MAX):
        browser.press(TAB)
        if not (name := browser.focused()):
            break
        stops.append(name)
    return stops


def _in_order(wanted: list[str], stops: list[str]) -> bool:
    rest = iter(stops)
    return all(one in rest for one in wanted)


def test_the_first_stop_leads_past_the_navigation(browser, jobs):
    browser.open(f"/console/jobs/{jobs['paused']}")
    browser.press(TAB)
    assert browser.focused() == "To the content"
    assert browser.one(".skip").location["x"] >= 0
    browser.press(ENTER)
    until(lambda: browser.run("return document.activeElement.id") == "main")
    browser.press(TAB)
    assert browser.focused() == "initech"


def test_the_actions_of_a_job_come_one_after_the_other_and_open(browser, jobs):
    browser.open(f"/console/jobs/{jobs['paused']}")
    stops = _stops(browser)
    wanted = ["Overview", "Action log", "Sign out"]
    wanted += ["initech", "Resume", "Change priority", "Cancel"]
    assert _in_order(wanted, stops), stops
    browser.run("document.querySelector('.offers a').focus()")
    browser.press(ENTER)
    until(lambda: browser.path == f"/console/act/resume/{jobs['paused']}")
    # What is to be typed has the focus already.
    assert browser.focused() == "reason"


def test_tables_that_scroll_can_be_scrolled(browser, jobs):
    browser.open("/console/jobs")
    stops = _stops(browser)
    assert _in_order(["Exports", "CRM pushes", "license", "Filter", "Jobs"], stops)


def test_somebody_signs_in_without_a_mouse(stranger, house):
    stranger.open("/console/sign-in")
    assert stranger.focused() == "key"
    stranger.press(house.key, ENTER)
    until(lambda: stranger.path == "/console/")
