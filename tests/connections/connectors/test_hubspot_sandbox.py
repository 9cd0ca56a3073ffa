"""The sandbox is as strict as HubSpot, so that what passes here passes there."""

from typing import Any

import pytest

from tests.connections.connectors.plain_http import persons
from worker.connections.connectors.connector import Kind, Reply

CONTACTS = "/crm/v3/objects/contacts"


def ask(account: Any, path: str, body: Any, *, token: str = "t") -> Reply:
    reply: Reply = account.http.ask(
        "POST",
        f"{account.url}{path}",
        headers={"Authorization": f"Bearer {token}".strip()},
        body=body,
    )
    return reply


def row(**changed: Any) -> dict[str, Any]:
    given = {"id": "a@b.example", "idProperty": "email", "properties": {}}
    return given | changed


REFUSED = [
    pytest.param([row(properties={"phone": 1})], "java.lang.String", id="a number"),
    pytest.param([row(properties={"phone": None})], "java.lang.String", id="a null"),
    pytest.param([row(properties={"shoe": "44"})], "does not exist", id="unknown"),
    pytest.param([row(idProperty="phone")], "non-unique 0-1 property", id="no key"),
    pytest.param([{"id": "5", "properties": {}}], "non-unique", id="no key named"),
    pytest.param([row(), row()], "Duplicate IDs", id="twice the same"),
    pytest.param([row(id=str(n)) for n in range(101)], "maximum", id="101 rows"),
    pytest.param([row(properties={"createdate": "x"})], "read only", id="read only"),
]


@pytest.mark.parametrize(("inputs", "message"), REFUSED)
def test_a_batch_that_is_not_as_it_must_be_is_refused_as_a_whole(
    account, inputs, message
):
    account.behave(refusals="whole")
    reply = ask(account, f"{CONTACTS}/batch/upsert", {"inputs": inputs})
    assert reply.status == 400
    assert message in reply.json["message"]
    assert reply.json["category"] == "VALIDATION_ERROR"
    assert account.tally["contacts"] == 0


def test_a_batch_that_lost_its_inputs_is_complete_and_nothing_comes_of_it(account):
    reply = ask(account, f"{CONTACTS}/batch/upsert", {})
    assert (reply.status, reply.json["status"]) == (200, "COMPLETE")
    assert reply.json["results"] == []


@pytest.mark.parametrize("token", ["", "revoked"])
def test_nobody_is_let_in_without_a_token(account, token):
    reply = ask(account, f"{CONTACTS}/batch/upsert", {}, token=token)
    assert reply.status == 401
    assert reply.json["category"] == "INVALID_AUTHENTICATION"


def test_the_search_does_not_see_what_is_new_and_reading_does(account):
    account.behave(lag_ms=60_000)
    account.plant(Kind.PERSON, email="a@b.example")
    filters = [{"propertyName": "email", "operator": "EQ", "value": "a@b.example"}]
    question = {"filterGroups": [{"filters": filters}], "limit": 1}
    assert ask(account, f"{CONTACTS}/search", question).json["total"] == 0
    inputs = {"idProperty": "email", "inputs": [{"id": "a@b.example"}]}
    read = ask(account, f"{CONTACTS}/batch/read", inputs | {"properties": []})
    assert len(read.json["results"]) == 1
    account.behave(lag_ms=0)
    assert ask(account, f"{CONTACTS}/search", question).json["total"] == 1


def test_what_is_taken_and_what_is_refused_is_counted_apart(account):
    account.behave(limit=len(account.tally["times"]) + 3, window_s=60)
    statuses = [ask(account, f"{CONTACTS}/batch/read", {}).status for _ in range(5)]
    assert statuses == [200, 200, 200, 429, 429]
    tally = account.tally
    assert tally["refused"] == 2
    assert tally["paths"][f"POST {CONTACTS}/batch/read"] == 5
    assert tally["times"] == sorted(tally["times"])


def test_the_window_rolls(account):
    account.behave(limit=2, window_s=0.4)
    taken, let_in = len(account.tally["times"]), 0
    while let_in < 6:
        let_in += ask(account, f"{CONTACTS}/batch/read", {}).status != 429
    tally = account.tally
    times = tally["times"][taken:]
    assert tally["refused"] > 0
    assert all(
        later - first >= 0.39 for first, later in zip(times, times[2:], strict=False)
    )


def test_a_fault_of_the_limit_is_in_hubspots_own_words(account):
    account.behave(fault="rate_limited")
    reply = ask(account, f"{CONTACTS}/batch/read", {})
    assert reply.status == 429
    assert reply.json["errorType"] == "RATE_LIMIT"
    assert reply.json["policyName"] == "TEN_SECONDLY_ROLLING"
    assert int(reply.headers["x-hubspot-ratelimit-max"]) == 190


def test_the_tally_counts_what_is_there(account):
    company = account.written(Kind.COMPANY, "c1", name="Engine")
    gone = account.plant(Kind.PERSON)
    account.hubspot.write(Kind.PERSON, persons(4))
    account.remove(Kind.PERSON, gone)
    account.remove(Kind.COMPANY, company)
    assert (account.tally["contacts"], account.tally["companies"]) == (4, 0)
