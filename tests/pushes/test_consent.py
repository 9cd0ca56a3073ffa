"""Connections by consent: made, kept alive by one worker at a time, and mended."""

from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs, urldefrag, urlsplit

import httpx
import pytest
from sqlalchemy import text

from storage import connections as stored
from storage import notifications
from storage.states import Scope
from tests.api.conftest import serving
from tests.database import running
from tests.pushing import Killed, contact, counts, push, run, run_once, submit
from worker import authorizing, connections, oauth, steering
from worker.authorizing import Denied, Wish
from worker.connectors import Reply
from worker.connectors.errors import Unauthorized, Unavailable
from worker.crm_http import CrmHttp
from worker.errors import BadInput, OutboundError, Refused
from worker.oauth import CONNECTORS
from worker.sandbox.granting import CLIENT_ID, CLIENT_SECRET
from worker.wiring import Deps

BASE = "http://holdfast.example"


@pytest.fixture
def app(sandbox):
    api = {"hubspot_api_url": f"{sandbox.url}/hubspot"}
    return _app_of(sandbox, "hubspot") | api


def _app_of(sandbox, vendor):
    """The settings of the house's app at a vendor of the sandbox."""
    return {
        f"{vendor}_client_id": CLIENT_ID,
        f"{vendor}_client_secret": CLIENT_SECRET,
        f"{vendor}_authorize_url": f"{sandbox.url}/{vendor}/oauth/authorize",
        f"{vendor}_token_url": f"{sandbox.url}/{vendor}/oauth/token",
    }


@pytest.fixture
def house(wired, app):
    deps: Deps = wired(**app)
    running.create_license(deps, credits_granted=100_000)
    return deps


def _wish(**changed):
    return Wish("acme", "hubspot", "Ours", {})._replace(**changed)


def _consent(house, wish) -> dict[str, str]:
    """What the vendor sends somebody back with who consents."""
    asked = authorizing.ask(house, wish, base_url=BASE)
    back = httpx.get(asked.url).headers["Location"]
    assert back.startswith(f"{BASE}/v1/authorizations/callback?")
    return {name: value for name, (value,) in parse_qs(urlsplit(back).query).items()}


def _complete(house, back):
    return authorizing.complete(
        house,
        back["state"],
        code=back.get("code"),
        error=back.get("error"),
    )


@pytest.fixture
def connection(house, sandbox):
    return _complete(house, _consent(house, _wish())).connection.id


def _expire(house, sandbox, connection):
    """Let the access token end, and no worker know it beforehand."""
    sandbox.behave("hubspot", token_s=0.01)
    with ThreadPoolExecutor(1):
        opened = house.crms.open(connections.get(house, connection), lambda: None)
        opened.tokens.renewed(opened.tokens.secrets["access_token"])
    secrets = opened.tokens.secrets
    secrets.pop("expires_at_s")
    with house.database.transaction() as connection_:
        connection_.execute(
            text("UPDATE connections SET secrets = :s"),
            {"s": house.crms.seal(secrets)},
        )
    sandbox.behave("hubspot")
    return secrets["access_token"]


def _told(house):
    with house.database.transaction() as connection:
        return notifications.of_license(connection, "acme", before=None, limit=9)


def test_somebody_consents_and_there_is_a_connection_that_pushes(
    house, sandbox, connection
):
    assert connections.get(house, connection).state == "active"
    assert counts(push(house, connection, [contact("c1", "p1")])) == {"created": 1}


def test_a_state_is_good_once_and_for_nobody_who_did_not_ask(house, sandbox):
    back = _consent(house, _wish())
    _complete(house, back)
    for state in (back["state"], "somebody-elses"):
        with pytest.raises(Denied) as caught:
            _complete(house, back | {"state": state})
        assert caught.value.code == "invalid_state"
    with house.database.transaction() as connection_:
        assert (
            connection_.execute(text("SELECT count(*) FROM connections")).scalar() == 1
        )


def test_a_state_is_over_after_a_while(house, sandbox):
    back = _consent(house, _wish())
    with house.database.transaction() as connection_:
        connection_.execute(text("UPDATE authorizations SET expires_at = now()"))
    with pytest.raises(Denied):
        _complete(house, back)


def test_who_does_not_consent_leaves_no_connection(house, sandbox):
    sandbox.behave("hubspot", fault="denied")
    with pytest.raises(Denied, match="access_denied"):
        _complete(house, _consent(house, _wish()))


def test_neither_state_nor_verifier_nor_token_stands_readable_in_the_database(
    house, sandbox
):
    back = _consent(house, _wish())
    made = _complete(house, back).connection
    tokens = house.crms.open(made, lambda: None).tokens.secrets
    with house.database.transaction() as connection_:
        rows = connection_.execute(
            text("SELECT a::text, c::text FROM authorizations AS a, connections AS c")
        ).all()
    kept = str(rows)
    assert back["state"] not in kept
    assert all(value not in kept for value in tokens.values())


def test_without_an_app_at_the_vendor_nobody_is_sent_there(wired, house, sandbox):
    plain = wired()
    with pytest.raises(Refused, match="HOLDFAST_HUBSPOT_CLIENT_ID"):
        authorizing.ask(plain, _wish(), base_url=BASE)


def test_a_token_is_renewed_before_its_end(house, sandbox, connection):
    sandbox.behave("hubspot", token_s=30)
    before = sandbox.tally("hubspot")["refreshes"]
    made = connections.get(house, connection)
    opened = house.crms.open(made, lambda: None)
    opened.tokens.renewed(opened.tokens.secrets["access_token"])
    assert house.crms.open(made, lambda: None).tokens.current()
    assert sandbox.tally("hubspot")["refreshes"] == before + 2


def test_eight_workers_with_an_expired_token_make_exactly_one_refresh(
    wired, house, sandbox, connection, app
):
    _expire(house, sandbox, connection)
    workers = [wired(**app) for _ in range(8)]
    before = sandbox.tally("hubspot")["refreshes"]
    sandbox.behave("hubspot", latency_ms=50)
    job_ids = [submit(house, connection, [contact(f"c{n}", f"p{n}")]) for n in range(8)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(run, workers, job_ids))
    told = sandbox.tally("hubspot")
    assert (told["refreshes"] - before, told["reused"]) == (1, 0)
    assert (told["contacts"], told["companies"]) == (8, 8)
    for job_id in job_ids:
        assert running.report(house, job_id).state == "succeeded"


def test_who_waits_for_somebody_elses_token_holds_on_to_its_chunk(house, connection):
    def beat() -> None:
        raise Killed

    made = connections.get(house, connection)
    tokens = house.crms.open(made, beat).tokens
    with house.database.transaction() as connection_:
        stored.begin_refresh(connection_, connection, tokens.version, lease_s=9)
    with pytest.raises(Killed):
        tokens.renewed(tokens.secrets["access_token"])


def test_a_pair_whose_answer_was_lost_is_what_only_a_reconnect_mends(
    house, sandbox, connection
):
    used = _expire(house, sandbox, connection)
    tokens = house.crms.open(connections.get(house, connection), lambda: None).tokens
    sandbox.behave("hubspot", fault="cut")
    with pytest.raises(Unavailable):
        tokens.renewed(used)
    with pytest.raises(Unauthorized):
        tokens.renewed(used)
    assert sandbox.tally("hubspot")["reused"] == 1


def test_the_new_pair_is_stored_before_it_is_used(house, sandbox, connection):
    _expire(house, sandbox, connection)
    seen = []
    tokens = house.crms.open(connections.get(house, connection), lambda: None).tokens
    used = tokens.secrets["access_token"]
    fresh = tokens.renewed(used)
    other = house.crms.open(connections.get(house, connection), lambda: None).tokens
    seen.append(other.secrets["access_token"])
    assert seen == [fresh]
    assert fresh != used


def test_a_grant_that_is_over_parks_the_job_tells_its_user_and_goes_on_after_consent(
    house, sandbox, connection
):
    _expire(house, sandbox, connection)
    sandbox.behave("hubspot", fault="invalid_grant", times=99)
    report = push(house, connection, [contact("c1", "p1")])
    assert (report.state, report.waiting_reason) == ("paused", "needs_reconnect")
    assert connections.get(house, connection).state == "needs_reconnect"
    assert [(one.user_id, one.code) for one in _told(house)] == [
        ("user-1", "job_parked")
    ]
    sandbox.behave("hubspot")
    _complete(house, _consent(house, _wish(connection_id=connection)))
    assert connections.get(house, connection).state == "active"
    assert counts(run(house, report.id)) == {"created": 1}


def test_a_loser_of_a_refresh_does_not_declare_the_winners_grant_dead(
    wired, house, sandbox, connection, app, monkeypatch
):
    """A worker was frozen with the lease on it, and its pair came back late."""
    used = _expire(house, sandbox, connection)
    made = connections.get(house, connection)
    frozen = house.crms.open(made, lambda: None).tokens
    late = wired(**app).crms.open(made, lambda: None).tokens
    refresh = oauth.refresh

    def overtaken(*given):
        grant = refresh(*given)
        with house.database.transaction() as connection_:
            connection_.execute(
                text("UPDATE connections SET refreshing_until = now() - interval '1 s'")
            )
        monkeypatch.undo()
        with pytest.raises(Unauthorized):
            late.renewed(used)
        return grant

    monkeypatch.setattr("worker.oauth.refresh", overtaken)
    fresh = frozen.renewed(used)
    assert sandbox.tally("hubspot")["reused"] == 1
    assert late.renewed(used) == fresh
    assert connections.test(house, connection).ok


def test_a_token_endpoint_that_does_not_answer_loses_no_grant(
    house, sandbox, connection, monkeypatch
):
    _expire(house, sandbox, connection)

    def silent(*_):
        raise OutboundError("no answer")

    monkeypatch.setattr("worker.oauth.refresh", silent)
    job_id = submit(house, connection, [contact("c1", "p1")])
    run_once(house, job_id)
    report = running.report(house, job_id)
    assert (report.state, report.waiting_reason) == ("running", "crm_unavailable")
    monkeypatch.undo()
    assert counts(run(house, job_id)) == {"created": 1}


def test_an_app_that_the_vendor_refuses_parks_the_job_until_it_is_put_right(
    wired, house, sandbox, connection, app
):
    _expire(house, sandbox, connection)
    for wrong in ("another-secret", None):
        refused = wired(**app | {"hubspot_client_secret": wrong})
        report = push(refused, connection, [contact(f"c{wrong}", f"p{wrong}")])
        assert (report.state, report.waiting_reason) == ("paused", "app_refused")
        assert connections.get(house, connection).state == "active"
        steering.resume(house, report.id)
        assert counts(run(house, report.id)) == {"created": 1}
        _expire(house, sandbox, connection)
    assert [one.code for one in _told(house)] == ["job_parked", "job_parked"]


def test_a_token_that_somebody_else_is_refreshing_by_is_no_refused_grant(
    wired, house, sandbox
):
    deps = wired(**_app_of(sandbox, "salesforce"))
    made = _complete(deps, _consent(deps, _wish(connector="salesforce"))).connection
    tokens = deps.crms.open(made, lambda: None).tokens
    sandbox.behave("salesforce", fault="busy")
    with pytest.raises(Unavailable):
        tokens.renewed(tokens.secrets["access_token"])
    assert tokens.renewed(tokens.secrets["access_token"])


def test_a_vendor_that_gives_no_other_refresh_token_is_asked_by_the_first_again(
    wired, house, sandbox
):
    deps = wired(**_app_of(sandbox, "salesforce"))
    sandbox.behave("salesforce", token_s=0)
    made = _complete(deps, _consent(deps, _wish(connector="salesforce"))).connection
    first = deps.crms.open(made, lambda: None).tokens.secrets
    assert "expires_at_s" not in first
    # Nothing says that the token has ended but that it is not taken.
    assert connections.test(deps, made.id).code == "unauthorized"
    sandbox.behave("salesforce")
    assert connections.test(deps, made.id).ok
    last = deps.crms.open(made, lambda: None).tokens.secrets
    assert last["refresh_token"] == first["refresh_token"]
    told = sandbox.tally("salesforce")
    assert (told["refreshes"], told["reused"]) == (2, 0)


def test_other_secrets_let_the_parked_jobs_of_a_connection_go_on(house, sandbox):
    revoked = connections.create(
        house,
        "acme",
        "hubspot",
        "Key",
        settings={"url": f"{sandbox.url}/hubspot"},
        secrets={"access_token": "revoked"},
    )
    report = push(house, revoked.id, [contact("c1", "p1")])
    assert report.waiting_reason == "needs_reconnect"
    connections.reconnect(house, revoked.id, {"access_token": "another"})
    assert counts(run(house, report.id)) == {"created": 1}


def _refused(*_):
    return Reply(401, {}, {"message": "the session has ended"})


def test_tokens_that_are_granted_and_not_taken_park_each_job_once(
    house, connection, monkeypatch
):
    job_ids = [submit(house, connection, [contact(f"c{n}", f"p{n}")]) for n in range(2)]
    with monkeypatch.context() as patched:
        patched.setattr(CrmHttp, "_ask", _refused)
        runs = sum(run_once(house, job_id) for _ in range(5) for job_id in job_ids)
    assert runs == 2
    with house.database.transaction() as connection_:
        told = notifications.of_license(connection_, "acme", before=None, limit=9)
    assert len(told) == 2
    assert connections.test(house, connection).ok
    for job_id in job_ids:
        assert counts(run(house, job_id)) == {"created": 1}


def test_a_job_that_is_resumed_and_goes_through_takes_the_others_along(
    house, connection, monkeypatch
):
    first, second = (
        submit(house, connection, [contact(f"c{n}", f"p{n}")]) for n in range(2)
    )
    with monkeypatch.context() as patched:
        patched.setattr(CrmHttp, "_ask", _refused)
        for job_id in (first, second):
            run_once(house, job_id)
    steering.resume(house, first)
    assert counts(run(house, first)) == {"created": 1}
    assert connections.get(house, connection).state == "active"
    assert counts(run(house, second)) == {"created": 1}


def test_a_parked_job_that_somebody_pauses_stays_paused(house, connection, monkeypatch):
    job_id = submit(house, connection, [contact("c1", "p1")])
    with monkeypatch.context() as patched:
        patched.setattr(CrmHttp, "_ask", _refused)
        assert run(house, job_id).waiting_reason == "needs_reconnect"
    steering.pause(house, job_id)
    assert connections.test(house, connection).ok
    report = running.report(house, job_id)
    assert (report.state, report.waiting_reason) == ("paused", "paused")
    steering.resume(house, job_id)
    assert counts(run(house, job_id)) == {"created": 1}


def test_other_secrets_that_came_in_mid_push_are_not_blamed_for_the_old_ones(
    wired, house, sandbox, monkeypatch
):
    deps = wired(**_app_of(sandbox, "pipedrive"))
    back = _consent(deps, Wish("acme", "pipedrive", "Ours", {}))
    made = _complete(deps, back).connection
    job_id = submit(deps, made.id, [contact("c1", "p1")])
    ask = CrmHttp._ask
    seen: list[str] = []

    def changed(self, method, url, *given):
        if not seen and "organizations" in url:
            seen.append(url)
            connections.reconnect(deps, made.id, {"api_token": "token"})
            return Reply(401, {}, {"success": False, "error": "unauthorized"})
        return ask(self, method, url, *given)

    monkeypatch.setattr(CrmHttp, "_ask", changed)
    assert counts(run(deps, job_id)) == {"created": 1}
    assert connections.get(deps, made.id).state == "active"


@pytest.mark.parametrize("vendor", ["salesforce", "pipedrive"])
def test_a_vendor_says_where_its_api_is_and_takes_the_token_there(
    wired, house, sandbox, vendor
):
    deps = wired(**_app_of(sandbox, vendor))
    back = _consent(deps, Wish("acme", vendor, "Ours", {}))
    made = _complete(deps, back).connection
    assert made.settings == {"url": f"{sandbox.url}/{vendor}"}
    assert connections.test(deps, made.id).ok
    tokens = deps.crms.open(made, lambda: None).tokens
    assert tokens.renewed(tokens.secrets["access_token"])
    assert connections.test(deps, made.id).ok


def test_a_code_is_worth_nothing_without_the_verifier_it_was_asked_with(
    wired, house, sandbox
):
    deps = wired(**_app_of(sandbox, "salesforce"))
    back = _consent(deps, Wish("acme", "salesforce", "Ours", {}))
    with deps.database.transaction() as connection_:
        connection_.execute(
            text("UPDATE authorizations SET verifier = :v"),
            {"v": deps.keyring.encrypt("another")},
        )
    with pytest.raises(Denied) as caught:
        _complete(deps, back)
    assert caught.value.code == "no_token"


@pytest.mark.parametrize("vendor", CONNECTORS)
def test_another_account_is_another_connection(wired, house, sandbox, app, vendor):
    deps = wired(**app | _app_of(sandbox, vendor))
    wish = Wish("acme", vendor, "Ours", {})
    made = _complete(deps, _consent(deps, wish)).connection
    before = deps.crms.open(made, lambda: None).tokens.secrets
    again = wish._replace(connection_id=made.id)
    sandbox.behave(vendor, account=1)
    with pytest.raises(Denied) as caught:
        _complete(deps, _consent(deps, again))
    assert caught.value.code == "other_account"
    assert deps.crms.open(made, lambda: None).tokens.secrets == before
    sandbox.behave(vendor)
    _complete(deps, _consent(deps, again))
    assert deps.crms.open(made, lambda: None).tokens.secrets != before


def test_the_account_of_a_connection_with_a_key_is_known_once_somebody_consents(
    house, sandbox
):
    made = connections.create(
        house,
        "acme",
        "hubspot",
        "Key",
        settings={},
        secrets={"access_token": "a-key"},
    )
    wish = _wish(connection_id=made.id)
    _complete(house, _consent(house, wish))
    sandbox.behave("hubspot", account=1)
    with pytest.raises(Denied, match="another account"):
        _complete(house, _consent(house, wish))


def test_an_org_that_has_another_address_by_now_is_the_same_and_is_asked_there(
    wired, house, sandbox
):
    deps = wired(**_app_of(sandbox, "salesforce"))
    wish = Wish("acme", "salesforce", "Ours", {})
    made = _complete(deps, _consent(deps, wish)).connection
    moved = {"url": f"{sandbox.url.replace('127.0.0.1', 'localhost')}/salesforce"}
    token_url = f"{moved['url']}/oauth/token"
    app = _app_of(sandbox, "salesforce") | {"salesforce_token_url": token_url}
    elsewhere = wired(**app)
    back = _consent(elsewhere, wish._replace(connection_id=made.id))
    assert _complete(elsewhere, back).connection.settings == moved
    # It may be told with a token that is renewed, too.
    tokens = deps.crms.open(made, lambda: None).tokens
    tokens.renewed(tokens.secrets["access_token"])
    assert connections.get(deps, made.id).settings == made.settings


def test_a_sandbox_of_salesforce_has_a_sign_in_of_its_own(wired, house, sandbox):
    app = _app_of(sandbox, "salesforce")
    for what in ("authorize_url", "token_url"):
        app[f"salesforce_sandbox_{what}"] = app[f"salesforce_{what}"]
        app[f"salesforce_{what}"] = "http://127.0.0.1:9/"
    deps = wired(**app)
    wish = Wish("acme", "salesforce", "Ours", {"login": "sandbox"})
    made = _complete(deps, _consent(deps, wish)).connection
    tokens = deps.crms.open(made, lambda: None).tokens
    assert tokens.renewed(tokens.secrets["access_token"])
    with pytest.raises(BadInput, match=r"settings\.login"):
        authorizing.ask(
            deps, wish._replace(settings={"login": "evil.example"}), base_url=BASE
        )


@pytest.mark.parametrize("vendor", CONNECTORS)
def test_who_asks_for_consent_does_not_say_where_the_tokens_are_sent(
    wired, house, sandbox, app, vendor
):
    deps = wired(**app | _app_of(sandbox, vendor))
    wish = Wish("acme", vendor, "Ours", {"url": "https://thief.example"})
    with pytest.raises(BadInput, match=r"settings\.url"):
        authorizing.ask(deps, wish, base_url=BASE)


def test_a_connection_with_an_address_of_its_own_is_given_no_tokens_by_consent(
    house, connection
):
    there = connections.create(
        house,
        "acme",
        "hubspot",
        "Theirs",
        settings={"url": "http://127.0.0.1:9"},
        secrets={"access_token": "a-key"},
    )
    wish = _wish(connection_id=there.id)
    with pytest.raises(BadInput, match=r"settings\.url"):
        authorizing.ask(house, wish._replace(settings=there.settings), base_url=BASE)
    with pytest.raises(Denied, match="another account"):
        _complete(house, _consent(house, wish))


def test_by_http_somebody_is_sent_there_and_comes_back_to_where_they_came_from(
    house, database_url, tmp_path, redis_url, sandbox, app
):
    changed = {"redis_url": redis_url, "webhook_allow_private": True, **app}
    with serving(database_url, tmp_path, changed) as api:
        client = api.key(Scope.PRODUCER, "acme")
        body = {
            "license": "acme",
            "connector": "hubspot",
            "return_url": "https://app.example/done?x=1#here",
        }
        key = {"Idempotency-Key": "connect-7"}
        asked = client.post("/v1/authorizations", json=body, headers=key)
        assert asked.status_code == 201, asked.text
        again = client.post("/v1/authorizations", json=body, headers=key)
        assert again.text == asked.text
        with api.deps.database.transaction() as connection_:
            # As if the first answer had been lost on its way.
            connection_.execute(
                text("UPDATE requests SET status = NULL, answer = NULL")
            )
        anew = client.post("/v1/authorizations", json=body, headers=key)
        assert (anew.status_code, anew.text != asked.text) == (201, True)
        back = httpx.get(asked.json()["url"]).headers["Location"]
        nobody = api.client(None)
        path = urlsplit(back).path + "?" + urlsplit(back).query
        # The code is good for the address that they were told to come back to.
        sent_on = nobody.get(path, headers={"Host": "elsewhere.example"})
        assert sent_on.status_code == 303
        where, fragment = urldefrag(sent_on.headers["Location"])
        assert fragment == "here"
        assert where.startswith("https://app.example/done?x=1&connection=connection_")
        (made,) = client.get("/v1/connections").json()["items"]
        assert (made["id"], made["state"]) == (where.rpartition("=")[2], "active")
        again = nobody.get(path)
        assert (again.status_code, again.json()["code"]) == (403, "forbidden")
        api.license("other")
        stranger = api.key(Scope.PRODUCER, "other")
        assert stranger.post("/v1/authorizations", json=body).status_code == 404
        path = f"/v1/connections/{made['id']}/reconnect"
        fresh = client.post(path, json={"secrets": {"access_token": "new"}})
        assert (fresh.status_code, fresh.json()["state"]) == (200, "active")
        assert stranger.post(path, json={"secrets": {}}).status_code == 404
        theirs = body | {"license": "other", "connection": made["id"]}
        asked = stranger.post("/v1/authorizations", json=theirs)
        assert (asked.status_code, asked.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("return_url", "status"),
    [
        ("https://app.example/done", 201),
        ("http://localhost:3000/done", 201),
        ("http://127.0.0.1", 201),
        ("http://app.example/done", 422),
        ("http://localhost.evil.example", 422),
        ("http://localhost:80@evil.example", 422),
        ("javascript:alert(1)", 422),
    ],
)
def test_nobody_is_sent_on_in_clear_text_but_to_their_own_machine(
    house, database_url, tmp_path, redis_url, app, return_url, status
):
    changed = {"redis_url": redis_url, "webhook_allow_private": True, **app}
    with serving(database_url, tmp_path, changed) as api:
        body = {"license": "acme", "connector": "hubspot", "return_url": return_url}
        asked = api.key(Scope.PRODUCER, "acme").post("/v1/authorizations", json=body)
        assert asked.status_code == status, asked.text
