"""The overview follows what happens, without a reload and without taking the focus."""

from tests.browser.chromium import Browser
from tests.support.fleet import until


def _open_live(browser: Browser) -> None:
    """Open the overview; once it is live nothing opens it again."""
    browser.open("/console/")
    until(lambda: browser.all("[data-live][data-fresh=true]"))
    browser.run("window.isTheSame = true")


def _is_the_same(browser: Browser) -> bool:
    return bool(browser.run("return window.isTheSame === true"))


def test_a_new_job_appears_and_goes_without_a_reload(browser, house, jobs):
    _open_live(browser)
    before = browser.text("#part-figures a[href$='state=queued']")
    job = house.export("initech", "Made while somebody looks", 300, 303)
    browser.see("Made while somebody looks", "#part-jobs")
    after = browser.text("#part-figures a[href$='state=queued']")
    assert int(after) == int(before) + 1
    house.ask("POST", f"/jobs/{job}/cancel")
    until(lambda: not browser.all(f"#part-jobs a[href$='{job}']"))
    assert _is_the_same(browser)


def test_whoever_is_at_a_link_stays_at_it_while_parts_are_replaced(
    browser, house, jobs
):
    _open_live(browser)
    link = browser.one(f"#part-jobs a[href$='{jobs['queued']}']")
    browser.run("arguments[0].focus(); window.was = arguments[0]", link)
    house.export("initech", "Made while somebody reads", 303, 306)
    browser.see("Made while somebody reads", "#part-jobs")
    assert browser.focused() == "Autumn campaign"
    assert not browser.run("return window.was.isConnected")
    assert _is_the_same(browser)
