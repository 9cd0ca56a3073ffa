"""API keys over HTTP: made and shown once, listed, given an end, revoked."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from storage.access_scopes import Scope

_LATER = "2100-01-01T00:00:00Z"


@pytest.fixture
def key(api):
    api.license()
    return _made(api.admin, license="acme")


def _made(client, **more):
    body = {"name": "backend", "scope": "producer"} | more
    made = client.post("/v1/keys", json=body)
    assert made.status_code == 201, made.text
    return made.json()


def _is_let_in(api, key) -> bool:
    answer = api.client(key).get("/v1/licenses/acme/balance")
    return bool(answer.status_code == 200)


def test_a_key_is_shown_once_and_lets_in_where_its_scope_does(api, key):
    assert _is_let_in(api, key["key"])
    assert key["license"] == "acme"
    listed = api.admin.get("/v1/keys?license=acme").json()["items"]
    assert [one["id"] for one in listed] == [key["id"]]
    assert key["key"] not in str(listed)
    assert "key" not in listed[0]


def test_a_revoked_key_lets_nobody_in_and_stays_in_the_list(api, key):
    revoked = api.admin.delete(f"/v1/keys/{key['id']}").json()
    assert revoked["revoked_at"]
    assert not _is_let_in(api, key["key"])
    again = api.admin.delete(f"/v1/keys/{key['id']}").json()
    assert again == revoked
    late = api.admin.patch(f"/v1/keys/{key['id']}", json={"expires_at": _LATER})
    assert (late.status_code, late.json()["code"]) == (409, "wrong_state")


def test_a_key_ends_at_its_time_by_the_clock_of_the_world(api, key):
    changed = api.admin.patch(f"/v1/keys/{key['id']}", json={"expires_at": _LATER})
    assert changed.json()["expires_at"] == _LATER
    assert _is_let_in(api, key["key"])
    with api.deps.database.transaction() as connection:
        connection.execute(
            text("UPDATE keys SET expires_at = clock_timestamp() WHERE id = :id"),
            {"id": key["id"]},
        )
    assert not _is_let_in(api, key["key"])


def test_a_key_may_be_made_with_an_end_that_lies_ahead(api):
    assert _made(api.admin, expires_at=_LATER)["expires_at"] == _LATER
    past = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    refused = api.admin.post(
        "/v1/keys", json={"name": "x", "scope": "admin", "expires_at": past}
    )
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == "expires_at"


def test_a_bound_admin_makes_keys_of_its_license_and_no_other(api):
    api.license()
    api.license("other")
    bound = api.key(Scope.ADMIN, "acme")
    assert _made(bound)["license"] == "acme"
    body = {"name": "x", "scope": "admin", "license": "other"}
    assert bound.post("/v1/keys", json=body).status_code == 404
    assert {one["license"] for one in bound.get("/v1/keys").json()["items"]} == {"acme"}


def test_nobody_names_a_second_person_over_http(api):
    body = {"name": "x", "scope": "finance", "person": "somebody"}
    refused = api.admin.post("/v1/keys", json=body)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == "person"


def test_the_same_request_makes_one_key_and_shows_it_again_to_who_asked(api):
    once = {"Idempotency-Key": "one"}
    body = {"name": "backend", "scope": "producer"}
    first, again = (
        api.admin.post("/v1/keys", json=body, headers=once) for _ in range(2)
    )
    assert first.content == again.content
    assert len(api.admin.get("/v1/keys").json()["items"]) == 2  # the bootstrap's too
