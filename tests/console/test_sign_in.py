"""Sign-in: by a key, into a session that is short-lived and ends with its key."""

import httpx
import pytest

from storage.access_scopes import Scope
from storage.licenses import api_keys as kept_keys
from tests.api.conftest import ADMIN_KEY
from tests.console.conftest import SIGN_IN, Browser
from worker.console import sessions
from worker.licenses import api_keys


def _cookie(answer) -> str:
    return str(answer.headers["set-cookie"]).lower()


def test_whoever_has_not_signed_in_is_led_there_and_back(stranger):
    led = stranger.open("/console/jobs?state=running")
    assert led.url.path == SIGN_IN
    back = stranger.http.post(
        str(led.url),
        data={
            "csrf_token": stranger.token(str(led.url)),
            "key": ADMIN_KEY,
            "next": led.url.params["next"],
        },
    )
    assert (back.status_code, back.url.path) == (200, "/console/jobs")
    assert back.url.params["state"] == "running"


@pytest.mark.parametrize("away", ["https://elsewhere.example", "//elsewhere.example"])
def test_a_sign_in_leads_to_no_other_site(stranger, away):
    assert stranger.sign_in(ADMIN_KEY, next=away).url.host == "127.0.0.1"


@pytest.mark.parametrize("scope", [Scope.OPERATOR, Scope.OBSERVER, Scope.FINANCE])
def test_a_key_of_who_may_look_opens_the_jobs(browse, scope):
    assert browse(scope).open("/console/jobs").status_code == 200


def test_neither_a_producers_key_nor_a_wrong_one_opens_anything(api, stranger):
    producers = api_keys.create(api.deps, "a producer", Scope.PRODUCER)[1]
    for key in (producers, "hf_wrong", "wr\u00f6ng", "with\x00nul"):
        assert stranger.sign_in(key).status_code == 401
        assert stranger.open("/console/jobs").url.path == SIGN_IN


def test_a_sign_in_that_no_page_of_ours_has_sent_is_refused(stranger):
    answer = stranger.http.post(SIGN_IN, data={"key": ADMIN_KEY})
    assert answer.status_code == 403
    stranger.open(SIGN_IN)
    forged = {"key": ADMIN_KEY, "csrf_token": "20990101000000##" + "0" * 40}
    assert stranger.http.post(SIGN_IN, data=forged).status_code == 403


def test_the_cookie_is_kept_from_scripts_and_other_sites(stranger):
    token = stranger.token(SIGN_IN)
    stranger.http.follow_redirects = False
    signed = stranger.http.post(SIGN_IN, data={"csrf_token": token, "key": ADMIN_KEY})
    cookie = _cookie(signed)
    for each in ("httponly", "samesite=strict", "path=/console", "max-age=3600"):
        assert each in cookie
    assert "secure" not in cookie
    assert ADMIN_KEY not in cookie


def test_behind_tls_the_cookie_is_sent_over_tls_alone(stranger):
    answer = stranger.http.get(SIGN_IN, headers={"X-Forwarded-Proto": "https"})
    assert "; secure" in _cookie(answer)


def test_a_session_ends_with_its_key(api, stranger):
    key_id, key = api_keys.create(api.deps, "an operator", Scope.OPERATOR)
    stranger.sign_in(key)
    assert stranger.open("/console/").url.path == "/console/"
    with api.deps.database.transaction() as connection:
        kept_keys.revoke(connection, key_id)
    assert stranger.open("/console/").url.path == SIGN_IN


def test_a_session_ends_by_signing_out(browse):
    operator = browse()
    operator.send("/console/sign-out", of="/console/jobs")
    assert operator.open("/console/jobs").url.path == SIGN_IN


def test_who_has_a_copy_of_the_cookie_is_signed_out_too(browse):
    operator, thief = browse(), browse()
    thief.http.cookies = httpx.Cookies(operator.http.cookies)
    assert thief.open("/console/jobs").url.path == "/console/jobs"
    operator.send("/console/sign-out", of="/console/jobs")
    assert thief.open("/console/jobs").url.path == SIGN_IN


def test_another_session_of_the_same_key_goes_on(api, stranger):
    key = api_keys.create(api.deps, "an operator", Scope.OPERATOR)[1]
    other = Browser(api.url)
    for browser in (stranger, other):
        browser.sign_in(key)
    stranger.send("/console/sign-out", of="/console/jobs")
    assert other.open("/console/jobs").url.path == "/console/jobs"
    other.http.close()


def test_only_what_somebody_asks_for_keeps_a_session_from_ending(browse, monkeypatch):
    operator = browse()
    monkeypatch.setattr(sessions, "_RENEWED_AFTER_S", 0)
    chart = operator.open("/console/charts/hour/records.svg")
    assert (chart.status_code, "set-cookie" in chart.headers) == (200, False)
    assert "set-cookie" in operator.open("/console/jobs").headers


def test_a_cookie_that_was_changed_is_no_session(browse):
    operator = browse()
    name, value = next(iter(operator.http.cookies.items()))
    operator.http.cookies.clear()
    operator.http.cookies.set(name, ("A" if value[0] != "A" else "B") + value[1:])
    assert operator.open("/console/jobs").url.path == SIGN_IN


@pytest.mark.parametrize("settings", [{"rate_a_minute": 3}])
def test_who_tries_too_many_keys_has_to_wait(stranger):
    codes = [stranger.sign_in(f"hf_guess_{n}").status_code for n in range(4)]
    assert codes == [401, 401, 401, 429]


@pytest.mark.parametrize("settings", [{"console_session_s": 0.001}])
def test_a_session_ends_a_while_after_its_sign_in(stranger):
    assert stranger.sign_in(ADMIN_KEY).url.path == SIGN_IN
