"""Who may call what: every route, every scope, and the things of other licenses."""

import re

import pytest
from fastapi.routing import APIRoute
from sqlalchemy import text

from storage.access_scopes import Scope
from worker.api.routes import (
    audit,
    authorizations,
    charges,
    connections,
    dry_runs,
    files,
    jobs,
    licenses,
    lookups,
    provider_reports,
    quotes,
    templates,
    uploads,
    webhooks,
)
from worker.api.routes.finance import (
    balances,
    explained_charges,
    overviews,
    reconciliations,
    refunds,
    statements,
    usage_files,
    warehouse,
)
from worker.api.routes.operations import (
    actions,
    bulk,
    pauses,
    processes,
    queues,
    recovery,
)

_PRODUCER, _OPERATOR, _FINANCE = Scope.PRODUCER, Scope.OPERATOR, Scope.FINANCE
_OBSERVER = Scope.OBSERVER

# As the contract has it; a route that is not named here is admin's alone.
_ALLOWED = {
    "GET /licenses/{license}/balance": {_PRODUCER, _FINANCE},
    "PUT /licenses/{license}/weight": {_OPERATOR},
    "GET /licenses/{license}/forecast": {_PRODUCER, _FINANCE},
    "GET /licenses/{license}/alerts": {_PRODUCER, _FINANCE},
    "PUT /licenses/{license}/alerts": {_FINANCE},
    "DELETE /licenses/{license}/alerts": {_FINANCE},
    "GET /licenses/{license}/overview": {_FINANCE},
    "GET /licenses/{license}/overview/jobs": {_FINANCE},
    "POST /licenses/{license}/overview-links": {_FINANCE},
    "GET /licenses/{license}/periods": {_FINANCE},
    "GET /licenses/{license}/usage": {_FINANCE},
    "GET /licenses/{license}/statement": {_FINANCE},
    "GET /licenses/{license}/statements": {_FINANCE},
    "GET /transfers": {_FINANCE},
    "GET /statements": {_FINANCE},
    "GET /journal": {_FINANCE},
    "POST /licenses/{license}/close": {_FINANCE},
    "POST /licenses/{license}/views": {_PRODUCER},
    "GET /licenses/{license}/notifications": {_PRODUCER},
    "PUT /licenses/{license}/templates/{template}": {_PRODUCER},
    "GET /licenses/{license}/templates/{template}": {_PRODUCER},
    "DELETE /licenses/{license}/templates/{template}": {_PRODUCER},
    "POST /uploads": {_PRODUCER},
    "POST /quotes": {_PRODUCER},
    "POST /jobs": {_PRODUCER},
    "GET /jobs": {_PRODUCER, _OPERATOR, _FINANCE, _OBSERVER},
    "GET /jobs/{job}": {_PRODUCER, _OPERATOR, _FINANCE, _OBSERVER},
    "GET /jobs/{job}/timeline": {_PRODUCER, _OPERATOR, _FINANCE, _OBSERVER},
    "GET /actions": {_OPERATOR, _OBSERVER},
    "POST /chunks/{chunk}/give-back": {_OPERATOR},
    "POST /deliveries/{delivery}/send-again": {_PRODUCER, _OPERATOR},
    "POST /outbox/requeue": {_OPERATOR},
    "POST /jobs/bulk": {_OPERATOR},
    "GET /queues": {_OPERATOR, _OBSERVER},
    "GET /processes": {_OPERATOR, _OBSERVER},
    "POST /processes/{process}/drain": {_OPERATOR},
    "POST /processes/{process}/undrain": {_OPERATOR},
    "GET /jobs/{job}/events": {_PRODUCER, _OPERATOR, _FINANCE, _OBSERVER},
    "POST /jobs/{job}/cancel": {_PRODUCER, _OPERATOR},
    "POST /jobs/{job}/pause": {_PRODUCER, _OPERATOR},
    "POST /jobs/{job}/resume": {_PRODUCER, _OPERATOR},
    "POST /jobs/{job}/give-up": {Scope.OPERATOR},
    "PUT /jobs/{job}/priority": {_OPERATOR},
    "POST /jobs/{job}/retry": {_PRODUCER, _OPERATOR},
    "GET /jobs/{job}/charges": {_PRODUCER, _FINANCE},
    "GET /jobs/{job}/costs": {_OPERATOR, _FINANCE, _OBSERVER},
    "GET /lookups": {_OPERATOR, _OBSERVER},
    "GET /jobs/{job}/records": {_PRODUCER},
    "GET /jobs/{job}/rejections": {_PRODUCER},
    "GET /jobs/{job}/file": {_PRODUCER},
    "GET /jobs/{job}/manifest": {_PRODUCER},
    "GET /charges": {_FINANCE},
    "GET /charges/{charge}": {_FINANCE},
    "GET /charges/{charge}/explanation": {_FINANCE},
    "POST /reconciliations": {_FINANCE},
    "GET /reconciliations": {_FINANCE},
    "POST /reconciliations/usage": {_FINANCE},
    "GET /reconciliations/{reconciliation}": {_FINANCE},
    "GET /charges/{charge}/refund": {_FINANCE},
    "POST /charges/{charge}/refund": {_FINANCE},
    "POST /refunds": {_FINANCE},
    "POST /refunds/preview": {_FINANCE},
    "GET /refunds": {_FINANCE},
    "GET /refunds/{refund}": {_FINANCE},
    "GET /refunds/{refund}/charges": {_FINANCE},
    "POST /refunds/{refund}/approve": {_FINANCE},
    "POST /refunds/{refund}/reject": {_FINANCE},
    "GET /audit": {_OPERATOR, _FINANCE, _OBSERVER},
    "POST /audit/violations/{violation}/acknowledge": {_OPERATOR, _FINANCE},
    "GET /pauses": {_OPERATOR},
    "PUT /pauses/everything": {_OPERATOR},
    "DELETE /pauses/everything": {_OPERATOR},
    "PUT /pauses/license/{license}": {_OPERATOR},
    "DELETE /pauses/license/{license}": {_OPERATOR},
    "PUT /pauses/connection/{connection}": {_OPERATOR},
    "DELETE /pauses/connection/{connection}": {_OPERATOR},
    "PUT /pauses/provider/{provider}": {_OPERATOR},
    "DELETE /pauses/provider/{provider}": {_OPERATOR},
    "POST /connections": {_PRODUCER},
    "GET /connections": {_PRODUCER},
    "DELETE /connections/{connection}": {_PRODUCER},
    "GET /connections/{connection}/fields": {_PRODUCER},
    "POST /connections/{connection}/reconnect": {_PRODUCER},
    "POST /connections/{connection}/test": {_PRODUCER},
    "POST /authorizations": {_PRODUCER},
    "POST /dry-runs": {_PRODUCER},
    "GET /dry-runs/{dry_run}": {_PRODUCER},
    "POST /webhooks": {_PRODUCER},
    "GET /webhooks": {_PRODUCER},
    "DELETE /webhooks/{webhook}": {_PRODUCER},
    "POST /webhooks/{webhook}/rotate": {_PRODUCER},
    "GET /webhooks/{webhook}/deliveries": {_PRODUCER},
}
FAMILIES = (
    licenses,
    templates,
    uploads,
    quotes,
    jobs,
    lookups,
    charges,
    refunds,
    balances,
    overviews,
    audit,
    webhooks,
    connections,
    authorizations,
    dry_runs,
    actions,
    bulk,
    recovery,
    processes,
    queues,
    pauses,
    explained_charges,
    reconciliations,
    statements,
    usage_files,
    warehouse,
)
_ROUTES = sorted(
    f"{method} {route.path}"
    for family in FAMILIES
    for route in family.router.routes
    if isinstance(route, APIRoute)
    for method in route.methods or ()
)


def test_every_route_that_the_contract_names_is_there():
    assert set(_ALLOWED) <= set(_ROUTES)
    assert [getattr(route, "path", "") for route in files.router.routes] == [
        "/files/{job}"
    ]
    assert [getattr(route, "path", "") for route in provider_reports.router.routes] == [
        "/hooks/{provider}"
    ]


def _call(client, route: str, **names: str):
    method, path = route.split()
    path = re.sub(r"\{(\w+)\}", lambda m: names.get(m.group(1), "1"), path)
    return client.request(method, f"/v1{path}")


def test_no_route_answers_without_a_live_key(api):
    stranger, nobody = api.client("hf_not_a_key"), api.client(None)
    for route in _ROUTES:
        for client in (stranger, nobody):
            answer = _call(client, route)
            assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
            assert answer.headers["WWW-Authenticate"] == "Bearer"
            assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("scope", list(Scope))
def test_each_scope_may_do_what_the_contract_says_and_no_more(api, scope):
    client = api.key(scope)
    for route in _ROUTES:
        allowed = scope is Scope.ADMIN or scope in _ALLOWED.get(route, set())
        answer = _call(client, route)
        if allowed:
            assert answer.status_code not in {401, 403}, route
        else:
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


def _things_of(api, license_id: str) -> dict[str, str]:
    """A license with one of each thing that a path can name."""
    api.license(license_id)
    body = {
        "kind": "export",
        "license": license_id,
        "user": "u",
        "records": [{"company": {"id": "c"}, "person": None}],
    }
    job_id = api.admin.post("/v1/jobs", json=body).json()["id"]
    api.ended(job_id)
    charge = api.admin.get(f"/v1/jobs/{job_id}/charges").json()["items"][0]["id"]
    reason = {"reason": "a test"}
    path = f"/v1/charges/{charge}/refund"
    refunded = api.admin.post(path, json=reason).json()
    with api.deps.database.transaction() as connection:
        chunk = text("SELECT id FROM chunks WHERE job_id = :job_id")
        chunk_id = connection.execute(chunk, {"job_id": job_id}).scalar_one()
    webhook = api.admin.post(
        "/v1/webhooks",
        json={
            "license": license_id,
            "url": "http://127.0.0.1:9/",
            "events": ["period.closed"],
        },
    )
    api.admin.put(f"/v1/licenses/{license_id}/templates/mine", json={})
    asked = {"period": "open", "license": license_id}
    reconciliation = api.admin.post("/v1/reconciliations", json=asked).json()["id"]
    return {
        "reconciliation": str(reconciliation),
        "license": license_id,
        "template": "mine",
        "job": job_id,
        "charge": str(charge),
        "refund": str(refunded["refund"]),
        "chunk": str(chunk_id),
        "webhook": webhook.json()["id"],
        "user": "u",
    }


# Where a route names a license, or something of one: in its path, in its body, in its
# query (a list), or by none of these. A new route has to say it here.
_IN_BODY = {
    "POST /reconciliations",
    "POST /uploads",
    "POST /quotes",
    "POST /jobs",
    "POST /jobs/bulk",
    "POST /webhooks",
    "POST /connections",
    "POST /authorizations",
    "POST /dry-runs",
    "POST /refunds",
    "POST /refunds/preview",
}
_LISTS = {
    "GET /reconciliations",
    "GET /jobs",
    "GET /lookups",
    "GET /charges",
    "GET /transfers",
    "GET /statements",
    "GET /journal",
    "GET /refunds",
    "GET /webhooks",
    "GET /connections",
    "GET /actions",
    "GET /pauses",
}
_OF_NONE = {"POST /licenses", "GET /licenses", "GET /audit"}
# What is the house's: a key that is bound to a license may not call it.
_OF_THE_HOUSE = {
    "POST /reconciliations/usage",
    "POST /outbox/requeue",
    "GET /processes",
    "GET /queues",
    "POST /processes/{process}/drain",
    "POST /processes/{process}/undrain",
    "PUT /pauses/everything",
    "DELETE /pauses/everything",
    "PUT /pauses/provider/{provider}",
    "DELETE /pauses/provider/{provider}",
}
_IN_PATH = {route for route in _ROUTES if "{" in route} - _OF_THE_HOUSE


def test_every_route_says_where_it_names_a_license():
    assert set(_ROUTES) == _IN_PATH | _IN_BODY | _LISTS | _OF_NONE | _OF_THE_HOUSE


@pytest.mark.parametrize("scope", list(Scope))
def test_a_bound_key_does_not_learn_of_another_license(api, scope):
    theirs = _things_of(api, "theirs")
    nobodys = {name: f"no_{name}" for name in theirs}
    names = ("charge", "chunk", "delivery", "reconciliation", "refund")
    numbers = dict.fromkeys(names, "999999999")
    api.license("ours")
    bound = api.key(scope, "ours")
    for route in sorted(_IN_PATH - _OF_THE_HOUSE):
        if scope is not Scope.ADMIN and scope not in _ALLOWED.get(route, set()):
            continue
        there = _call(bound, route, **theirs)
        assert (there.status_code, there.json()["code"]) == (404, "not_found"), route
        # It is told the same of what is not there at all, but for the id it named.
        nowhere = _call(bound, route, **(theirs | nobodys | numbers))
        assert nowhere.status_code == 404, route
        assert set(nowhere.json()) == set(there.json())


@pytest.mark.parametrize("scope", [_OPERATOR, Scope.ADMIN])
def test_a_bound_key_is_refused_what_is_of_the_house(api, scope):
    api.license("ours")
    bound = api.key(scope, "ours")
    for route in sorted(_OF_THE_HOUSE):
        answer = _call(bound, route)
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), route


def test_lists_never_show_a_bound_key_the_rows_of_another_license(api):
    theirs = _things_of(api, "theirs")
    ours = _things_of(api, "ours")
    bound = api.key(Scope.ADMIN, "ours")
    for path, own, other in (
        ("jobs", ours["job"], theirs["job"]),
        ("charges", int(ours["charge"]), int(theirs["charge"])),
        ("webhooks", ours["webhook"], theirs["webhook"]),
    ):
        every = [item["id"] for item in api.admin.get(f"/v1/{path}").json()["items"]]
        assert set(every) == {own, other}
        for query in ("", "?license=ours", "?limit=1"):
            page = bound.get(f"/v1/{path}{query}").json()
            assert ([item["id"] for item in page["items"]], page["next"]) == (
                [own],
                None,
            )
        assert bound.get(f"/v1/{path}?license=theirs").status_code == 404
    charges = api.admin.get("/v1/charges").json()["items"]
    assert {charge["license"] for charge in charges} == {"ours", "theirs"}
    charges = bound.get(f"/v1/jobs/{ours['job']}/charges").json()["items"]
    assert {charge["license"] for charge in charges} == {"ours"}
    listed = bound.get("/v1/licenses").json()
    assert [license_["id"] for license_ in listed["items"]] == ["ours"]


def test_a_bound_key_cannot_name_another_license_in_a_body(api):
    api.license("theirs")
    api.license("ours")
    bound = api.key(Scope.PRODUCER, "ours")
    quote = {
        "kind": "export",
        "license": "theirs",
        "user": "u",
        "records": [{"company": {"id": "c"}}],
    }
    made = api.admin.post("/v1/quotes", json=quote).json()["id"]
    csv = {"Content-Type": "text/csv"}
    upload = api.admin.post(
        "/v1/uploads?license=theirs", content="company_id\nc\n", headers=csv
    ).json()["id"]
    uploaded = {"kind": "export", "user": "u", "upload": upload}
    webhook = {"url": "http://x.y", "events": ["credits.low"], "license": "theirs"}
    for route, sent in (
        ("POST /quotes", quote),
        ("POST /quotes", uploaded | {"license": "theirs"}),
        ("POST /quotes", uploaded | {"license": "ours"}),
        ("POST /jobs", quote),
        ("POST /jobs", {"quote": made}),
        ("POST /jobs", uploaded | {"license": "theirs"}),
        ("POST /jobs", uploaded | {"license": "ours"}),
        ("POST /webhooks", webhook),
        ("POST /connections", {"license": "theirs"}),
        ("POST /authorizations", {"license": "theirs"}),
        ("POST /authorizations", {"license": "ours", "connection": "theirs"}),
        ("POST /dry-runs", quote),
    ):
        assert route in _IN_BODY
        answer = bound.post(f"/v1{route.split()[1]}", json=sent)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), sent
    every = {"verb": "cancel", "filter": {"license": "theirs"}}
    operator = api.key(Scope.OPERATOR, "ours")
    answer = operator.post("/v1/jobs/bulk", json=every)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    refused = bound.post("/v1/uploads?license=theirs", content="x", headers=csv)
    assert (refused.status_code, refused.json()["code"]) == (404, "not_found")
    assert api.admin.get("/v1/jobs").json()["items"] == []


def test_whose_a_thing_is_comes_before_what_is_wrong_with_the_request(api):
    theirs = _things_of(api, "theirs")
    api.license("ours")
    body = {"kind": "export", "license": "theirs", "user": "u"}
    records = [{"company": {"id": "c"}}]
    quote = api.admin.post("/v1/quotes", json=body | {"records": records}).json()["id"]
    bound = api.key(Scope.ADMIN, "ours")
    for method, path, sent in (
        ("POST", "quotes", body | {"more": 1}),
        ("POST", "jobs", body | {"user": 5}),
        ("POST", "jobs", {"quote": quote, "name": 5}),
        ("POST", "webhooks", {"license": "theirs", "events": []}),
        ("POST", "licenses", {"id": "theirs"}),
        ("PATCH", "licenses/theirs", {"more": 1}),
        ("POST", f"jobs/{theirs['job']}/retry", {"more": 1}),
        ("POST", "uploads?license=theirs&skip_bad=perhaps", None),
        ("GET", "jobs?license=theirs&limit=0", None),
    ):
        answer = bound.request(method, f"/v1/{path}", json=sent)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), path
    # What is no JSON names nothing.
    answer = bound.post("/v1/quotes", content='{"license": "theirs"')
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


def test_a_bound_admin_key_cannot_make_another_license(api):
    api.license("ours")
    body = {"id": "x", "name": "X", "plan": "V1", "payment_term": "monthly"}
    made = api.key(Scope.ADMIN, "ours").post("/v1/licenses", json=body | {"credits": 9})
    assert (made.status_code, made.json()["code"]) == (404, "not_found")


def test_a_revoked_key_is_no_key(api):
    from worker.licenses import api_keys  # noqa: PLC0415 - the one test that needs it

    key_id, key = api_keys.create(api.deps, "a test", Scope.ADMIN)
    client = api.client(key)
    assert client.get("/v1/licenses").status_code == 200
    api_keys.revoke(api.deps, key_id)
    assert client.get("/v1/licenses").status_code == 401
