"""Licenses, permission, periods, views, usage, refunds, and what is refused."""

from urllib.parse import quote

import pytest

from storage.access_scopes import Scope
from tests.support import job_runs
from worker.ledger import balances

_ONE = {
    "kind": "export",
    "license": "acme",
    "user": "ada",
    "records": [{"company": {"id": "c1"}, "person": None}],
}


def test_a_license_is_created_once(api):
    body = {
        "id": "acme",
        "name": "Acme",
        "plan": "V2",
        "payment_term": "monthly",
        "credits": 5,
    }
    assert api.admin.post("/v1/licenses", json=body).status_code == 201
    assert api.admin.post("/v1/licenses", json=body).status_code == 200
    other = api.admin.post("/v1/licenses", json=body | {"credits": 6})
    assert (other.status_code, other.json()["code"]) == (409, "already_exists")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"id": ""}, "id"),
        ({"id": "x" * 201}, "id"),
        ({"id": "a\x00b"}, "id"),
        ({"credits": -1}, "credits"),
        ({"credits": 1.5}, "credits"),
        ({"credits": "5"}, "credits"),
        ({"plan": "V9"}, "plan"),
        ({"more": 1}, "more"),
    ],
)
def test_a_bad_field_is_named_and_nothing_is_made(api, change, field):
    body = {
        "id": "acme",
        "name": "Acme",
        "plan": "V2",
        "payment_term": "monthly",
        "credits": 5,
    }
    answer = api.admin.post("/v1/licenses", json=body | change)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert answer.json()["errors"][0]["field"] == field
    assert api.admin.get("/v1/licenses").json() == {"items": [], "next": None}


def test_v3_views_charge_at_once_and_free_the_export(api):
    api.license(plan="V3")
    path = "/v1/licenses/acme/views"
    first = api.admin.post(path, json={"user": "ada", "company_id": "c1"})
    assert first.json() == {"credits": 1, "free_because": None}
    again = api.admin.post(path, json={"user": "bob", "company_id": " c1\u00a0"})
    assert again.json() == {"credits": 0, "free_because": "viewed"}
    job = api.ended(api.admin.post("/v1/jobs", json=_ONE).json()["id"])
    assert job["credits"]["settled"] == 0
    after = api.admin.post(path, json={"user": "ada", "company_id": "c1"})
    assert after.json() == {"credits": 0, "free_because": "exported"}
    nobody = api.admin.post(path, json={"user": "ada", "company_id": " \t"})
    assert nobody.status_code == 422
    (error,) = nobody.json()["errors"]
    assert (error["field"], "is empty" in error["message"]) == ("company_id", True)
    assert api.admin.get("/v1/licenses/acme/balance").json()["spent"] == 1


def test_v2_views_are_free_and_leave_no_trace(api):
    api.license()
    answer = api.admin.post(
        "/v1/licenses/acme/views", json={"user": "ada", "company_id": "c1"}
    )
    assert answer.json() == {"credits": 0, "free_because": "plan"}
    assert api.admin.get("/v1/charges?license=acme").json()["items"] == []


def test_a_disallowed_user_is_refused_and_told_and_free_things_go_through(api):
    api.license(plan="V3", features=["user_permissions"])
    api.admin.put(
        "/v1/licenses/acme/users/ada",
        json={"role": "member", "credits_allowed": False},
    )
    view = {"user": "ada", "company_id": "c1"}
    for path, body in (("jobs", _ONE), ("licenses/acme/views", view)):
        refused = api.admin.post(f"/v1/{path}", json=body)
        assert (refused.status_code, refused.json()["code"]) == (
            403,
            "credits_not_allowed",
        )
    told = api.admin.get("/v1/licenses/acme/notifications").json()["items"]
    assert [message["user"] for message in told] == ["ada", "ada"]
    assert api.admin.get("/v1/licenses/acme/balance").json()["spent"] == 0
    api.admin.post("/v1/licenses/acme/views", json={"user": "bob", "company_id": "c1"})
    free = api.admin.post("/v1/licenses/acme/views", json=view)
    assert free.json() == {"credits": 0, "free_because": "viewed"}


def test_usage_is_summed_by_user_job_item_and_day(api):
    api.license()
    job_runs.know(api.deps, "p1")
    body = {
        **_ONE,
        "records": [{"company": {"id": "c1"}, "person": {"id": "p1"}}],
        "retrieve": ["email", "phone"],
    }
    job_id = api.admin.post("/v1/jobs", json=body).json()["id"]
    api.ended(job_id)

    def usage(by: str) -> dict[str, int]:
        found = api.admin.get(f"/v1/licenses/acme/usage?by={by}").json()
        return {item["key"]: item["credits"] for item in found["items"]}

    assert usage("user") == {"ada": 4}
    assert usage("job") == {job_id: 4}
    assert usage("item") == {"company": 1, "email": 1, "phone": 2}
    assert sum(usage("day").values()) == 4


def test_charges_are_listed_by_user_job_item_and_views_and_nothing_else_is_taken(api):
    api.license(plan="V3")
    job_id = api.admin.post("/v1/jobs", json=_ONE).json()["id"]
    api.ended(job_id)
    view = {"user": "bob", "company_id": "c9"}
    api.admin.post("/v1/licenses/acme/views", json=view)
    client = api.key(Scope.FINANCE)

    def listed(**query: str) -> list[str]:
        found = client.get("/v1/charges", params=query).json()["items"]
        return [charge["user"] for charge in found]

    assert listed() == ["ada", "bob"]
    assert listed(user="bob") == ["bob"]
    assert listed(job=job_id) == listed(views="false") == ["ada"]
    assert listed(views="true", item="company") == ["bob"]
    assert listed(job=job_id, user="bob") == listed(user="Bob") == listed(job="x") == []
    for query in (
        {"job": job_id, "views": "true"},
        {"job": ""},
        {"user": "a\tb"},
        {"views": "some"},
        {"item": "person"},
        {"users": "bob"},
        *(
            {"format": "csv", "period": "2026-11", name: given}
            for name, given in (("user", "bob"), ("job", job_id), ("views", "true"))
        ),
    ):
        refused = client.get("/v1/charges", params=query)
        assert (refused.status_code, refused.json()["code"]) == (
            422,
            "invalid_request",
        ), query


def test_a_charge_is_refunded_once_after_its_job_has_ended(api):
    api.license()
    job_id = api.admin.post("/v1/jobs", json=_ONE).json()["id"]
    api.ended(job_id)
    (charge,) = api.admin.get(f"/v1/jobs/{job_id}/charges").json()["items"]
    path = f"/v1/charges/{charge['id']}/refund"
    preview = api.admin.get(path).json()
    assert preview == {"credits": 1, "free_on_it": [], "quotes": [], "jobs": []}
    assert api.admin.post(path, json={"reason": "wrong"}).status_code == 201
    again = api.admin.post(path, json={"reason": "wrong"})
    assert (again.status_code, again.json()["code"]) == (409, "wrong_state")
    balance = api.admin.get("/v1/licenses/acme/balance").json()
    assert (balance["spent"], balance["available"]) == (0, 500)


def test_a_changed_term_starts_with_the_next_period(api, database_url, tmp_path):
    api.license()
    changed = api.admin.patch(
        "/v1/licenses/acme", json={"payment_term": "yearly", "credits": 900}
    )
    assert changed.json()["payment_term"] == "yearly"
    before = api.admin.get("/v1/licenses/acme/balance").json()
    assert before["granted"] == 500
    later = job_runs.wire_to(database_url, tmp_path, days=40)

    after = balances.balance_of(later, "acme")
    later.database.close()
    assert after.granted == 900
    assert (after.ends_at - after.starts_at).days in {365, 366}
    periods = api.admin.get("/v1/licenses/acme/periods").json()["items"]
    assert [period["granted"] for period in periods] == [900, 500]


def test_a_ceiling_is_kept(api):
    api.license()
    refused = api.admin.post("/v1/jobs", json=_ONE | {"max_credits": 0})
    assert (refused.status_code, refused.json()["code"]) == (409, "ceiling_exceeded")


@pytest.fixture
def settings() -> dict[str, object]:
    return {"body_bytes_max": 20_000, "rate_a_minute": 40, "inline_records_max": 100}


def test_a_body_or_a_list_that_is_too_large_is_refused(api):
    api.license()
    large = api.admin.post("/v1/quotes", content=b" " * 20_001)
    assert (large.status_code, large.json()["code"]) == (413, "too_large")
    chunked = api.admin.post("/v1/quotes", content=iter([b" " * 15_000] * 2))
    assert (chunked.status_code, chunked.json()["code"]) == (413, "too_large")
    many = _ONE | {"records": [{"company": {"id": f"c{n}"}} for n in range(101)]}
    listed = api.admin.post("/v1/quotes", json=many)
    assert (listed.status_code, listed.json()["code"]) == (413, "too_large")


def test_a_key_that_asks_too_often_has_to_wait(api):
    answers = [api.admin.get("/v1/licenses") for _ in range(41)]
    assert [answer.status_code for answer in answers[:39]] == [200] * 39
    assert (answers[-1].status_code, answers[-1].json()["code"]) == (
        429,
        "rate_limited",
    )
    waits_s = [int(answers[-1].headers["Retry-After"])]
    assert 0 < waits_s[0] <= 60
    # The minute began with the first request: what is left of it grows less.
    while waits_s[-1] > 58:
        waits_s.append(int(api.admin.get("/v1/licenses").headers["Retry-After"]))
        assert len(waits_s) < 10_000
    assert waits_s == sorted(waits_s, reverse=True)


def test_what_is_not_there_is_a_problem_too(api):
    for path in ("/v1/nothing", "/v1/jobs/job_x", "/v1/licenses/nobody/balance"):
        answer = api.admin.get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
        assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/v1/licenses/acme", "GET, PATCH"),
        ("PUT", "/v1/jobs", "GET, POST"),
        ("GET", "/v1/quotes", "POST"),
        ("POST", "/readyz", "GET"),
    ],
)
def test_a_method_that_a_path_does_not_take_is_answered_with_those_it_does(
    api, method, path, allowed
):
    answer = api.admin.request(method, path)
    assert (answer.status_code, answer.json()["code"]) == (405, "invalid_request")
    assert answer.headers["Allow"] == allowed
    assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(
    "name", ["a/b", "a%2Fb", "%", "a/../b", "..", " ", "ä?#;+&=@:😀", "x/users"]
)
def test_an_id_may_be_whatever_it_likes_in_a_path(api, name):
    api.license("acme")
    api.license(name, name="Any")
    encoded = quote(name, safe="").replace(".", "%2E")
    shown = api.admin.get(f"/v1/licenses/{encoded}")
    assert (shown.status_code, shown.json()["id"]) == (200, name)
    named = {"role": "viewer", "credits_allowed": False}
    made = api.admin.put(f"/v1/licenses/{encoded}/users/{encoded}", json=named)
    assert (made.status_code, made.json()["id"]) == (200, name)
    users = api.admin.get(f"/v1/licenses/{encoded}/users").json()["items"]
    assert [user["id"] for user in users] == [name]
    assert api.key(Scope.ADMIN, name).get(f"/v1/licenses/{encoded}").status_code == 200
    other = api.key(Scope.ADMIN, "acme").get(f"/v1/licenses/{encoded}")
    assert (other.status_code, other.json()["code"]) == (404, "not_found")


def test_an_empty_id_names_nothing(api):
    api.license()
    for path in ("/v1/licenses/", "/v1/jobs/", "/v1/licenses/acme/users/"):
        answer = api.admin.get(path, follow_redirects=False)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    "given",
    [
        1_700_000_000,
        "1700000000",
        "2026-01-31",
        "2026-01-31T00:00:00",
        "2026-02-30T00:00:00Z",
        "0001-01-01T00:00:00+02:00",
        "9999-12-31T23:59:59-02:00",
    ],
)
def test_an_instant_is_text_with_its_offset(api, given):
    body = {"id": "l", "name": "L", "plan": "V2", "payment_term": "yearly"}
    made = api.admin.post(
        "/v1/licenses", json=body | {"credits": 1, "starts_at": given}
    )
    assert (made.status_code, made.json()["errors"][0]["field"]) == (422, "starts_at")
    api.license()
    for path in ("licenses/acme/usage?by=day", "charges?license=acme"):
        answer = api.admin.get(f"/v1/{path}&period={quote(str(given))}")
        assert answer.status_code == 422, path
        assert answer.json()["errors"][0]["field"] == "period"


def test_an_instant_of_any_offset_is_answered_in_utc(api):
    api.license(starts_at="2026-03-31T23:30:00.5-04:00")
    license_ = api.admin.get("/v1/licenses/acme").json()
    assert license_["starts_at"] == "2026-04-01T03:30:00.500000Z"
