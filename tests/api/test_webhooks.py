"""Webhooks over HTTP: a secret is shown to whoever asked for it, and only then."""

import pytest
from sqlalchemy import text

from storage.access_scopes import Scope


@pytest.fixture
def hook(api):
    api.license()
    body = {"license": "acme", "url": "http://127.0.0.1:9/", "events": ["job.finished"]}
    made = api.admin.post("/v1/webhooks", json=body)
    assert made.status_code == 201, made.text
    return made.json()


def test_a_secret_is_replaced_and_the_answer_shows_the_new_one_this_once(api, hook):
    key, path = {"Idempotency-Key": "k"}, f"/v1/webhooks/{hook['id']}/rotate"
    first, again = (
        api.admin.post(path, json={"overlap_s": 60}, headers=key) for _ in range(2)
    )
    assert (first.status_code, again.content) == (200, first.content)
    rotated = first.json()
    assert rotated["secret"].startswith("whsec_")
    assert rotated["secret"] != hook["secret"]
    assert rotated["old_secret_until"].endswith("Z")
    assert {
        name: hook[name] for name in ("id", "license", "url", "events")
    }.items() <= (rotated.items())
    (listed,) = api.admin.get("/v1/webhooks").json()["items"]
    assert not any(name in listed for name in ("secret", "old_secret_until"))
    at_once = api.admin.post(path, json={"overlap_s": 0}).json()
    assert at_once["old_secret_until"] is None
    assert at_once["secret"] not in {hook["secret"], rotated["secret"]}


def test_a_secret_whose_answer_was_lost_is_replaced_once_and_shown_no_more(api, hook):
    key, path = {"Idempotency-Key": "k"}, f"/v1/webhooks/{hook['id']}/rotate"
    first = api.admin.post(path, json={"overlap_s": 60}, headers=key).json()
    with api.deps.database.transaction() as connection:
        connection.execute(text("UPDATE requests SET status = NULL, answer = NULL"))
        kept = connection.execute(text("SELECT secret FROM webhooks")).scalar_one()
    again = api.admin.post(path, json={"overlap_s": 60}, headers=key)
    assert (again.status_code, again.json()["secret"]) == (200, None)
    assert first["secret"] not in again.text
    with api.deps.database.transaction() as connection:
        secrets = connection.execute(text("SELECT secret FROM webhooks")).scalars()
        assert secrets.all() == [kept], "it is not replaced a second time"
    # Whoever has lost it asks for another.
    assert api.admin.post(path, json={"overlap_s": 60}).json()["secret"] is not None


@pytest.mark.parametrize(
    "body",
    [{}, {"overlap_s": "60"}, {"overlap_s": -1}, {"overlap_s": 2_592_001}, {"more": 1}],
)
def test_an_overlap_that_is_none_is_refused_and_replaces_nothing(api, hook, body):
    path = f"/v1/webhooks/{hook['id']}/rotate"
    answer = api.admin.post(path, json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert api.admin.post(path, json={"overlap_s": 60}).status_code == 200


def test_a_webhook_that_is_not_there_has_no_secret_to_replace(api, hook):
    api.license("other")
    theirs = api.key(Scope.PRODUCER, "other")
    path = f"/v1/webhooks/{hook['id']}/rotate"
    assert theirs.post(path, json={"overlap_s": 0}).status_code == 404
    assert api.admin.delete(f"/v1/webhooks/{hook['id']}").status_code == 200
    assert api.admin.post(path, json={"overlap_s": 0}).status_code == 404
