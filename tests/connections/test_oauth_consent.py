"""Connections by consent: whose they are, and where their tokens go."""

from urllib.parse import urldefrag, urlsplit

import httpx
import pytest
from sqlalchemy import text

from storage.access_scopes import Scope
from tests.api.conftest import serving
from tests.connections.oauth_app import BASE, app_at, complete, consent, wish_for
from tests.support import job_runs
from tests.support.push_runs import contact, counts, push
from worker.connections import connections, oauth_consent
from worker.connections.oauth_client import CONNECTORS
from worker.connections.oauth_consent import Denied
from worker.infrastructure.errors import BadInput, Refused
from worker.wiring import Wired


@pytest.fixture
def app(sandbox):
    return app_at(sandbox, "hubspot")


@pytest.fixture
def house(wired, app):
    deps: Wired = wired(**app)
    job_runs.create_license(deps, credits_granted=100_000)
    return deps


@pytest.fixture
def connection(house, sandbox):
    return complete(house, consent(house, wish_for())).connection.id


def test_somebody_consents_and_there_is_a_connection_that_pushes(
    house, sandbox, connection
):
    assert connections.get(house, connection).state == "active"
    assert counts(push(house, connection, [contact("c1", "p1")])) == {"created": 1}


def test_a_state_is_good_once_and_for_nobody_who_did_not_ask(house, sandbox):
    back = consent(house, wish_for())
    complete(house, back)
    for state in (back["state"], "somebody-elses"):
        with pytest.raises(Denied) as caught:
            complete(house, back | {"state": state})
        assert caught.value.code == "invalid_state"
    with house.database.transaction() as connection_:
        assert (
            connection_.execute(text("SELECT count(*) FROM connections")).scalar() == 1
        )


def test_a_state_is_over_after_a_while(house, sandbox):
    back = consent(house, wish_for())
    with house.database.transaction() as connection_:
        connection_.execute(text("UPDATE authorizations SET expires_at = now()"))
    with pytest.raises(Denied):
        complete(house, back)


def test_who_does_not_consent_leaves_no_connection(house, sandbox):
    sandbox.behave("hubspot", fault="denied")
    with pytest.raises(Denied, match="access_denied"):
        complete(house, consent(house, wish_for()))


def test_neither_state_nor_verifier_nor_token_stands_readable_in_the_database(
    house, sandbox
):
    back = consent(house, wish_for())
    made = complete(house, back).connection
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
        oauth_consent.ask(plain, wish_for(), base_url=BASE)


@pytest.mark.parametrize("vendor", ["salesforce", "pipedrive"])
def test_a_vendor_says_where_its_api_is_and_takes_the_token_there(
    wired, house, sandbox, vendor
):
    deps = wired(**app_at(sandbox, vendor))
    back = consent(deps, wish_for(vendor))
    made = complete(deps, back).connection
    assert made.settings == {"url": f"{sandbox.url}/{vendor}"}
    assert connections.test(deps, made.id).ok
    tokens = deps.crms.open(made, lambda: None).tokens
    assert tokens.renewed(tokens.secrets["access_token"])
    assert connections.test(deps, made.id).ok


def test_a_code_is_worth_nothing_without_the_verifier_it_was_asked_with(
    wired, house, sandbox
):
    deps = wired(**app_at(sandbox, "salesforce"))
    back = consent(deps, wish_for("salesforce"))
    with deps.database.transaction() as connection_:
        connection_.execute(
            text("UPDATE authorizations SET verifier = :v"),
            {"v": deps.keyring.encrypt("another")},
        )
    with pytest.raises(Denied) as caught:
        complete(deps, back)
    assert caught.value.code == "no_token"


@pytest.mark.parametrize("vendor", CONNECTORS)
def test_another_account_is_another_connection(wired, house, sandbox, app, vendor):
    deps = wired(**app | app_at(sandbox, vendor))
    wish = wish_for(vendor)
    made = complete(deps, consent(deps, wish)).connection
    before = deps.crms.open(made, lambda: None).tokens.secrets
    again = wish._replace(connection_id=made.id)
    sandbox.behave(vendor, account=1)
    with pytest.raises(Denied) as caught:
        complete(deps, consent(deps, again))
    assert caught.value.code == "other_account"
    assert deps.crms.open(made, lambda: None).tokens.secrets == before
    sandbox.behave(vendor)
    complete(deps, consent(deps, again))
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
    wish = wish_for(connection_id=made.id)
    complete(house, consent(house, wish))
    sandbox.behave("hubspot", account=1)
    with pytest.raises(Denied, match="another account"):
        complete(house, consent(house, wish))


def test_an_org_that_has_another_address_by_now_is_the_same_and_is_asked_there(
    wired, house, sandbox
):
    deps = wired(**app_at(sandbox, "salesforce"))
    wish = wish_for("salesforce")
    made = complete(deps, consent(deps, wish)).connection
    moved = {"url": f"{sandbox.url.replace('127.0.0.1', 'localhost')}/salesforce"}
    token_url = f"{moved['url']}/oauth/token"
    app = app_at(sandbox, "salesforce") | {"salesforce_token_url": token_url}
    elsewhere = wired(**app)
    back = consent(elsewhere, wish._replace(connection_id=made.id))
    assert complete(elsewhere, back).connection.settings == moved
    # It may be told with a token that is renewed, too.
    tokens = deps.crms.open(made, lambda: None).tokens
    tokens.renewed(tokens.secrets["access_token"])
    assert connections.get(deps, made.id).settings == made.settings


def test_a_sandbox_of_salesforce_has_a_sign_in_of_its_own(wired, house, sandbox):
    app = app_at(sandbox, "salesforce")
    for what in ("authorize_url", "token_url"):
        app[f"salesforce_sandbox_{what}"] = app[f"salesforce_{what}"]
        app[f"salesforce_{what}"] = "http://127.0.0.1:9/"
    deps = wired(**app)
    wish = wish_for("salesforce", settings={"login": "sandbox"})
    made = complete(deps, consent(deps, wish)).connection
    tokens = deps.crms.open(made, lambda: None).tokens
    assert tokens.renewed(tokens.secrets["access_token"])
    with pytest.raises(BadInput, match=r"settings\.login"):
        oauth_consent.ask(
            deps, wish._replace(settings={"login": "evil.example"}), base_url=BASE
        )


@pytest.mark.parametrize("vendor", CONNECTORS)
def test_who_asks_for_consent_does_not_say_where_the_tokens_are_sent(
    wired, house, sandbox, app, vendor
):
    deps = wired(**app | app_at(sandbox, vendor))
    wish = wish_for(vendor, settings={"url": "https://thief.example"})
    with pytest.raises(BadInput, match=r"settings\.url"):
        oauth_consent.ask(deps, wish, base_url=BASE)


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
    wish = wish_for(connection_id=there.id)
    with pytest.raises(BadInput, match=r"settings\.url"):
        oauth_consent.ask(house, wish._replace(settings=there.settings), base_url=BASE)
    with pytest.raises(Denied, match="another account"):
        complete(house, consent(house, wish))


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
