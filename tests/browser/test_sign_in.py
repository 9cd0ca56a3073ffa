"""Signing in, and out again."""

from tests.browser.conftest import sign_in


def test_somebody_signs_in_and_out(stranger, house, jobs):
    stranger.open(f"/console/jobs/{jobs['succeeded']}")
    assert stranger.path.startswith("/console/sign-in?next=")
    stranger.one("#key").send_keys(house.key)
    stranger.follow(stranger.one("button.main"))
    assert stranger.path == f"/console/jobs/{jobs['succeeded']}"
    assert "operator" in stranger.text("header .who")
    stranger.follow(stranger.one(".who button"))
    assert stranger.path == "/console/sign-in"
    stranger.open("/console/")
    assert stranger.path.startswith("/console/sign-in?next=")


def test_a_wrong_key_opens_nothing_and_is_told_so(stranger, house):
    sign_in(stranger, "a-key-that-nobody-has")
    assert "no key of an operator" in stranger.text("[role=alert]")
    stranger.open("/console/")
    assert stranger.path.startswith("/console/sign-in")
    (complaint,) = stranger.complaints()
    assert "401" in complaint


def test_no_script_reads_the_session(browser):
    assert browser.run("return document.cookie") == ""
    (cookie,) = browser.driver.get_cookies()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
