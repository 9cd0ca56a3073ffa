"""An Idempotency-Key belongs to the license, whichever of its API keys sends it."""

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from fastapi.routing import APIRoute
from sqlalchemy import text

from storage.access_scopes import Scope
from storage.migrations import migrator
from tests.api.conftest import serving
from tests.api.test_access import FAMILIES
from worker.api.access_control import rule_of
from worker.licenses import api_keys

_BODY = {
    "kind": "export",
    "license": "acme",
    "user": "ada",
    "records": [{"company": {"id": "c1"}}],
}
_SAME = {"Idempotency-Key": "order-7"}
_WEBHOOK = {"license": "acme", "url": "http://127.0.0.1:9/", "events": ["credits.low"]}


@pytest.fixture
def acme(api):
    api.license()
    return api


def _submit(client, body=_BODY):
    return client.post("/v1/jobs", json=body, headers=_SAME)


def _jobs(api) -> list[str]:
    return [job["id"] for job in api.admin.get("/v1/jobs").json()["items"]]


@pytest.mark.parametrize("bound", ["acme", None])
def test_after_a_rotation_of_api_keys_the_retry_finds_the_first_job(acme, bound):
    key_id, key = api_keys.create(acme.deps, "old", Scope.PRODUCER, bound)
    first = _submit(acme.client(key))
    assert first.status_code == 202
    api_keys.revoke(acme.deps, key_id)
    assert _submit(acme.client(key)).status_code == 401
    again = _submit(acme.key(Scope.PRODUCER, bound))
    assert (again.status_code, again.content) == (202, first.content)
    other = _submit(acme.key(Scope.PRODUCER, bound), _BODY | {"user": "bob"})
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_mismatch")
    assert _jobs(acme) == [first.json()["id"]]


def test_each_license_and_the_house_have_idempotency_keys_of_their_own(acme):
    acme.license("other")
    bodies = {"acme": _BODY, "other": _BODY | {"license": "other"}, None: _BODY}
    made = {
        bound: _submit(acme.key(Scope.PRODUCER, bound), body).json()["id"]
        for bound, body in bodies.items()
    }
    assert len(set(made.values())) == 3
    assert len(_jobs(acme)) == 3


def test_two_api_keys_of_a_license_at_the_same_moment_make_one_job(acme):
    clients = [acme.key(Scope.PRODUCER, "acme") for _ in range(2)]

    def submit(number: int) -> tuple[int, bytes]:
        answer = _submit(clients[number % 2])
        return answer.status_code, answer.content

    with ThreadPoolExecutor(16) as threads:
        answers = set(threads.map(submit, range(32)))
    assert len(answers) == 1, answers
    assert len(_jobs(acme)) == 1


def test_what_makes_no_row_of_its_own_is_answered_the_same_by_every_api_key(acme):
    job_id = _submit(acme.admin).json()["id"]
    clients = [acme.key(Scope.OPERATOR, "acme") for _ in range(2)]
    acme.admin.post(f"/v1/jobs/{job_id}/pause")
    paused, again = (
        client.post(f"/v1/jobs/{job_id}/resume", headers=_SAME) for client in clients
    )
    assert (again.status_code, again.content) == (202, paused.content)


def test_who_may_not_make_it_is_not_answered_with_what_was_made(acme):
    acme.license("other")
    assert _submit(acme.key(Scope.PRODUCER, "acme")).status_code == 202
    for client, status, code in (
        (acme.client("hf_not_a_key"), 401, "unauthorized"),
        (acme.key(Scope.FINANCE, "acme"), 403, "forbidden"),
        (acme.key(Scope.PRODUCER, "other"), 404, "not_found"),
    ):
        answer = _submit(client)
        assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_a_secret_is_shown_again_to_the_api_key_alone_that_asked(acme):
    asker, other = (acme.key(Scope.PRODUCER, "acme") for _ in range(2))

    def make(client):
        return client.post("/v1/webhooks", json=_WEBHOOK, headers=_SAME)

    first = make(asker)
    assert (first.status_code, make(asker).content) == (201, first.content)
    refused = make(other)
    assert (refused.status_code, refused.json()["code"]) == (
        409,
        "idempotency_mismatch",
    )
    assert "another API key" in refused.json()["detail"]
    assert first.json()["secret"] not in refused.text
    assert len(acme.admin.get("/v1/webhooks").json()["items"]) == 1


def test_a_secret_whose_answer_was_lost_is_not_made_again_for_another_api_key(acme):
    asker, other = (acme.key(Scope.PRODUCER, "acme") for _ in range(2))
    asker.post("/v1/webhooks", json=_WEBHOOK, headers=_SAME)
    with acme.deps.database.transaction() as connection:
        connection.execute(text("UPDATE requests SET status = NULL, answer = NULL"))
    refused = other.post("/v1/webhooks", json=_WEBHOOK, headers=_SAME)
    assert (refused.status_code, refused.json()["code"]) == (
        409,
        "idempotency_mismatch",
    )
    assert len(acme.admin.get("/v1/webhooks").json()["items"]) == 1


def test_every_route_that_answers_with_a_secret_says_so():
    answers = {
        route.path: set(getattr(route.response_model, "model_fields", ()))
        for family in FAMILIES
        for route in family.router.routes
        if isinstance(route, APIRoute) and "POST" in (route.methods or ())
        if not rule_of(route.endpoint).secret
    }
    assert "/jobs" in answers
    shown = {path for path, names in answers.items() if names & {"secret", "secrets"}}
    assert shown == set()


# -- What was remembered before a license owned its Idempotency-Keys.


_KEYS = {"a1": "acme", "a2": "acme", "a3": "acme", "b1": "beta", "h1": None}
_OTHER_BODY = _BODY | {"user": "bob"}
# Each was remembered as answered with its own name; two share `same` and `differs`.
_OLD = {
    ("alone", "a1"): _BODY,
    ("alone", "b1"): _BODY,
    ("alone", "h1"): _BODY,
    ("same", "a1"): _BODY,
    ("same", "a2"): _BODY,
    ("differs", "a1"): _OTHER_BODY,
    ("differs", "a2"): _BODY,
}


def _digest(content: bytes) -> str:
    return hashlib.sha256(b"POST\n/v1/quotes\n\n" + content).hexdigest()


def _remember_by_api_key(database) -> None:
    with database.transaction() as connection:
        # Of keys and requests alone, without all that they stand on.
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        for name, license_id in _KEYS.items():
            connection.execute(
                text("""
                    INSERT INTO keys (id, name, digest, scope, license_id)
                    VALUES (:name, :name, :digest, 'admin', :license_id)"""),
                {
                    "name": name,
                    "digest": api_keys.digest_of(name),
                    "license_id": license_id,
                },
            )
        for age_s, ((idempotency_key, key_id), body) in enumerate(_OLD.items()):
            connection.execute(
                text("""
                    INSERT INTO requests (key_id, idempotency_key, digest, made, status,
                                          answer, created_at)
                    VALUES (:key_id, :idempotency_key, :digest, :made, 201, :key_id,
                            now() - make_interval(secs => :age_s))"""),
                {
                    "key_id": key_id,
                    "idempotency_key": idempotency_key,
                    "digest": _digest(json.dumps(body).encode()),
                    # The older of the two that share one key has made nothing.
                    "made": "q" if key_id == "a1" else None,
                    "age_s": age_s,
                },
            )


def test_what_was_remembered_by_api_key_is_found_as_long_as_it_is_kept(
    empty_database, tmp_path
):
    migrator.migrate(empty_database, "0009")
    _remember_by_api_key(empty_database)
    migrator.migrate(empty_database)
    url = empty_database.url.render_as_string(hide_password=False)
    with serving(url, tmp_path, {}) as api:

        def ask(key: str, idempotency_key: str, body=_BODY) -> str:
            answer = api.client(key).post(
                "/v1/quotes",
                content=json.dumps(body),
                headers={
                    "Idempotency-Key": idempotency_key,
                    "Content-Type": "application/json",
                },
            )
            return answer.text if answer.status_code == 201 else answer.json()["code"]

        license_of_beta = _BODY | {"license": "beta"}
        assert ask("a1", "alone") == "a1"
        assert ask("a3", "alone") == "a1"
        assert ask("h1", "alone") == "h1"
        # Nothing of another license, though beta has the same key for the same body.
        assert ask("b1", "alone") == "not_found"
        assert ask("b1", "alone", license_of_beta) == "idempotency_mismatch"
        # Where two share one, each is answered with its own.
        assert (ask("a1", "same"), ask("a2", "same")) == ("a1", "a2")
        assert ask("a1", "differs") == "idempotency_mismatch"
        assert ask("a2", "differs") == "a2"
        # A third API key: the same request that made something, else none.
        assert ask("a3", "same") == "a1"
        assert ask("a3", "differs") == "a2"
        assert ask("a3", "differs", _OTHER_BODY) == "a1"
        assert ask("a3", "differs", _BODY | {"user": "eve"}) == "idempotency_mismatch"
    with empty_database.transaction() as connection:
        left = connection.execute(text("SELECT count(*) FROM requests")).scalar()
    assert left == len(_OLD)
