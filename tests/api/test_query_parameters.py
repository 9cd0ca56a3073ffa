"""What no route takes in its query is refused where a key is needed."""

import re

from storage.access_scopes import Scope
from worker.api.app import make_api
from worker.infrastructure.settings import Settings

_METHODS = ("get", "put", "post", "patch", "delete")
_OPEN = {
    "GET /healthz",
    "GET /readyz",
    "GET /metrics",
    "GET /v1/openapi.json",
    "GET /v1/files/{job}",
    "GET /v1/authorizations/callback",
    "POST /v1/hooks/{provider}",
}


def _call(client, route: str, query: str):
    method, path = route.split()
    return client.request(method, re.sub(r"\{\w+\}", "1", path) + query)


def test_every_route_that_needs_a_key_refuses_what_it_does_not_know(api, tmp_path):
    settings = Settings(home=tmp_path, database_url="postgresql+psycopg://")
    document = make_api(settings).openapi()
    routes = {
        f"{method.upper()} {path}": operation
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if method in _METHODS
    }
    keyed = {route for route, operation in routes.items() if "security" in operation}
    assert set(routes) - keyed <= _OPEN
    for route in keyed:
        answer = _call(api.admin, route, "?licence=beta")
        assert answer.status_code == 422, route
        assert answer.json()["code"] == "invalid_request"
        assert answer.json()["errors"][0]["field"] == "licence"


def test_the_others_ignore_what_they_do_not_know(api):
    nobody = api.client(None)
    for route in _OPEN:
        without = _call(nobody, route, "?signature=s&expires=1&state=x")
        given = _call(nobody, route, "?signature=s&expires=1&state=x&licence=beta")
        assert given.status_code == without.status_code, route
        assert "licence" not in given.text


def test_a_refusal_says_what_may_have_been_meant(api):
    api.license("acme")
    api.license("beta")
    for path, message in (
        ("charges?licence=beta", "did you mean license?"),
        ("charges?License=beta", "did you mean license?"),
        (
            "charges?q=1",
            "there are cursor, format, item, job, license, limit, period, user, views",
        ),
        (
            "charges?=1",
            "there are cursor, format, item, job, license, limit, period, user, views",
        ),
        ("licenses/beta?limit=1", "there is none"),
        ("charges?license=beta&license=acme", "is given 2 times; give it once"),
        ("charges?license=beta&license=beta", "is given 2 times; give it once"),
    ):
        answer = api.admin.get(f"/v1/{path}")
        assert answer.status_code == 422
        assert message in answer.json()["errors"][0]["message"]


def test_a_key_and_its_license_are_looked_at_first(api):
    api.license("acme")
    api.license("beta")
    path = "/v1/licenses/beta?x=1"
    assert api.client(None).get(path).status_code == 401
    assert api.key(Scope.FINANCE).get(path).status_code == 403
    assert api.key(Scope.ADMIN, "acme").get(path).status_code == 404
    assert api.admin.get(path).status_code == 422
