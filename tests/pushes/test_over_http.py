"""Connections, pushes and dry runs as clients of the API have them."""

import pytest

from storage.access_scopes import Scope
from tests.api.conftest import serving
from tests.support.push_runs import contact

TOKEN = "token-of-the-tests"


@pytest.fixture
def api(database_url, tmp_path, redis_url, wired):
    with serving(database_url, tmp_path, {"redis_url": redis_url}) as api:
        api.deps.database.close()
        api.deps = wired()
        api.license(credits=5_000)
        yield api


@pytest.fixture
def body(sandbox):
    return {
        "license": "acme",
        "connector": "hubspot",
        "name": "Our HubSpot",
        "settings": {"url": f"{sandbox.url}/hubspot"},
        "secrets": {"access_token": TOKEN},
    }


def _push(connection, records, **more):
    return {
        "kind": "push",
        "license": "acme",
        "user": "ada",
        "records": records,
        "push": {"connection": connection, **more},
    }


def test_a_connection_is_made_tested_listed_and_taken_away_without_its_secrets(
    api, body
):
    client = api.key(Scope.PRODUCER)
    once = {"Idempotency-Key": "connect-1"}
    made = client.post("/v1/connections", json=body, headers=once)
    assert made.status_code == 201, made.text
    assert made.json()["state"] == "active"
    again = client.post("/v1/connections", json=body, headers=once)
    assert again.text == made.text
    path = f"/v1/connections/{made.json()['id']}"
    tested = client.post(f"{path}/test").json()
    assert (tested["ok"], tested["code"]) == (True, None)
    listed = client.get("/v1/connections?license=acme")
    assert [one["id"] for one in listed.json()["items"]] == [made.json()["id"]]
    gone = client.delete(path)
    assert gone.status_code == 200
    for answer in (made, again, listed, gone):
        assert TOKEN not in answer.text
    assert client.delete(path).status_code == 404
    assert client.get("/v1/connections").json()["items"] == []


def _salesforce(**settings):
    given = {"url": "https://org.example", **settings}
    return {"connector": "salesforce", "settings": given}


@pytest.mark.parametrize(
    "settings",
    [
        {"bulk_above": 7, "allow_duplicates": True},
        {"bulk_above": "7", "allow_duplicates": "true", "batch_records": "9"},
    ],
)
def test_a_number_and_a_truth_may_be_given_as_a_text_too(api, body, settings):
    given = body | _salesforce(**settings)
    answer = api.admin.post("/v1/connections", json=given)
    assert answer.status_code == 201, answer.text


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"connector": "odoo"}, "secrets.access_token"),
        ({"connector": "salesforce", "settings": {}}, "settings.url"),
        ({"connector": "pipedrive"}, "secrets.access_token"),
        ({"connector": "webhook"}, "secrets.access_token"),
        ({"secrets": {}}, "secrets.access_token"),
        ({"settings": {"nothing": "x"}}, "settings.nothing"),
        ({"settings": {"url": "ftp://x"}}, "settings.url"),
        ({"settings": {"batch_records": 0}}, "settings.batch_records"),
        ({"settings": {"batch_records": "many"}}, "settings.batch_records"),
        (_salesforce(bulk_above=True), "settings.bulk_above"),
        (_salesforce(bulk_above="0"), "settings.bulk_above"),
        (_salesforce(allow_duplicates="yes"), "settings.allow_duplicates"),
        (_salesforce(without_consent_flags=1), "settings.without_consent_flags"),
        ({"secrets": {"access_token": "a\nb"}}, "secrets.access_token"),
    ],
)
def test_a_connection_that_cannot_be_is_refused_by_its_field(api, body, change, field):
    answer = api.admin.post("/v1/connections", json=body | change)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    fields = [error["field"] for error in answer.json()["errors"]]
    assert len(fields) == 1
    assert fields[0] in {field, "settings.url", "settings.access_token"}
    assert TOKEN not in answer.text


def test_the_fields_of_a_connection_are_listed_for_a_mapping(api, body, sandbox):
    client = api.key(Scope.PRODUCER, "acme")
    path = f"/v1/connections/{client.post('/v1/connections', json=body).json()['id']}"
    shown = client.get(f"{path}/fields")
    assert shown.status_code == 200, shown.text
    person = {one["name"]: one for one in shown.json()["person"]}
    assert person["jobtitle"]["read_only"] is False
    assert "lead" in person["lifecyclestage"]["options"]
    sandbox.behave("hubspot", fault="server_error", times=9)
    down = client.get(f"{path}/fields")
    assert (down.status_code, down.json()["code"]) == (503, "unavailable")


def test_a_mapping_that_does_not_fit_is_refused_before_a_job_is_there(api, body):
    connection = api.admin.post("/v1/connections", json=body).json()["id"]
    mapping = {"person": {"first_name": "shoe_size"}}
    wanted = _push(connection, [contact("c1", "p1")], mapping=mapping)
    for path in ("/v1/quotes", "/v1/jobs", "/v1/dry-runs"):
        answer = api.admin.post(path, json=wanted)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
        (error,) = answer.json()["errors"]
        assert error["field"] == "push.mapping.person"
    assert api.admin.get("/v1/jobs").json()["items"] == []


def test_a_push_is_quoted_run_and_tells_of_every_record(api, body):
    connection = api.admin.post("/v1/connections", json=body).json()["id"]
    records = [
        contact("c1", "p1"),
        contact("c2", "p2", email="no address"),
        contact("c3"),
    ]
    wanted = _push(connection, records, tags=["New"])
    quoted = api.admin.post("/v1/quotes", json=wanted)
    assert (quoted.status_code, quoted.json()["max_credits"]) == (201, 3)
    made = api.admin.post("/v1/jobs", json={"quote": quoted.json()["id"]})
    job = api.ended(made.json()["id"])
    assert (job["kind"], job["state"]) == ("push", "partial")
    assert job["credits"]["settled"] == 3
    progress = job["progress"]
    assert (progress["created"], progress["rejected"]) == (2, 1)
    assert job["file"] is None
    path = f"/v1/jobs/{job['id']}"
    outcomes = api.admin.get(f"{path}/records").json()["items"]
    assert [one["change"] for one in outcomes] == ["created", None, "created"]
    assert outcomes[0]["link"].startswith("https://")
    (rejected,) = api.admin.get(f"{path}/rejections").json()["items"]
    assert (rejected["record"], rejected["code"]) == (2, "invalid_email")
    report = api.admin.get(f"{path}/rejections?format=csv").text.splitlines()
    assert report[0] == "record,company_id,person_id,code,field,message,link"
    assert report[1].startswith("2,c2,p2,invalid_email,email,")
    mapping = {"mapping": {"person": {"person_email": None}}}
    retried = api.admin.post(f"{path}/retry", json={"push": mapping})
    assert retried.status_code == 202, retried.text
    again = api.ended(retried.json()["id"])
    assert (again["state"], again["credits"]["settled"]) == ("succeeded", 0)


def test_a_dry_run_is_asked_for_and_shown_page_by_page(api, body):
    connection = api.admin.post("/v1/connections", json=body).json()["id"]
    records = [contact(f"c{n}", f"p{n}") for n in range(5)]
    client = api.key(Scope.PRODUCER, "acme")
    made = client.post("/v1/dry-runs", json=_push(connection, records))
    assert (made.status_code, made.json()["state"]) == (202, "queued")
    api.work()
    path = f"/v1/dry-runs/{made.json()['id']}"
    shown = client.get(f"{path}?limit=3").json()
    assert (shown["state"], shown["create"]) == ("succeeded", 5)
    items = shown["items"]
    assert [one["outcome"] for one in items["items"]] == ["create"] * 3
    rest = client.get(f"{path}?cursor={items['next']}").json()["items"]
    assert ([one["record"] for one in rest["items"]], rest["next"]) == ([4, 5], None)


def test_what_is_another_licenses_is_not_there_for_a_bound_key(api, body):
    api.license("other")
    connection = api.admin.post("/v1/connections", json=body).json()["id"]
    stranger = api.key(Scope.PRODUCER, "other")
    path = f"/v1/connections/{connection}"
    assert stranger.delete(path).status_code == 404
    assert stranger.post(f"{path}/test").status_code == 404
    assert stranger.post("/v1/connections", json=body).status_code == 404
    assert stranger.get("/v1/connections").json()["items"] == []
    wanted = _push(connection, [contact("c1")]) | {"license": "other"}
    assert stranger.post("/v1/quotes", json=wanted).status_code == 404
    assert api.admin.post("/v1/quotes", json=wanted).status_code == 404


@pytest.mark.parametrize(
    "change",
    [
        {"push": None},
        {"kind": "export"},
        {"push": {"connection": "x", "overwrite": "sometimes"}},
        {"push": {"connection": "x", "mapping": {"deal": {}}}},
    ],
)
def test_a_push_that_says_too_little_or_the_wrong_thing_is_refused(api, change):
    wanted = _push("x", [contact("c1")]) | change
    assert api.admin.post("/v1/quotes", json=wanted).status_code == 422
