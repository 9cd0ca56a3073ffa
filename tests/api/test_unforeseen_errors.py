"""What nobody has foreseen is a problem too, and the log says what it was."""

import logging

import httpx
import pytest
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from sqlalchemy import text

from tests.api.conftest import ADMIN_KEY, served
from worker.api import problem_details

_PROBLEM = "application/problem+json"


def _is_internal_error(answer: httpx.Response, caplog) -> bool:
    problem = answer.json()
    assert (answer.status_code, answer.headers["Content-Type"]) == (500, _PROBLEM)
    assert (problem["status"], problem["code"]) == (500, "internal_error")
    assert problem["id"] in problem["detail"]
    lines = [record for record in caplog.records if problem["id"] in record.message]
    return len(lines) == 1 and lines[0].exc_info is not None


@pytest.fixture
def broken(api):
    """An API whose database is not as it was written for, in one column."""
    rename = "ALTER TABLE licenses RENAME COLUMN {} TO {}"
    with api.deps.database.transaction() as connection:
        connection.execute(text(rename.format("name", "nom")))
    yield api
    with api.deps.database.transaction() as connection:
        connection.execute(text(rename.format("nom", "name")))


def test_an_unforeseen_error_is_a_problem_with_an_id_that_stands_in_the_log(
    broken, caplog
):
    answer = broken.admin.get("/v1/licenses")
    assert _is_internal_error(answer, caplog)
    assert "nom" not in answer.text
    counted = broken.admin.get("/metrics").text
    assert 'route="/v1/licenses",status="500"' in counted
    # With a line end in its path, it is one line of the log.
    broken.admin.get("/v1/licenses/a%0Aforged")
    assert not [line for line in caplog.text.splitlines() if line.startswith("forged")]


def test_what_fails_before_and_after_a_route_is_one_too(caplog):
    app = FastAPI()
    problem_details.add_handlers(app)

    @app.get("/begun")
    def begun() -> StreamingResponse:
        def rows():
            yield "first"
            raise ZeroDivisionError("in the second row")

        return StreamingResponse(rows())

    class Breaks:
        def __init__(self, app):
            self.app = app

        async def __call__(self, scope, receive, send):
            if scope.get("path", "").startswith("/in-middleware"):
                raise ZeroDivisionError("in a middleware")
            await self.app(scope, receive, send)

    app.add_middleware(Breaks)
    app.add_middleware(problem_details.UnforeseenErrors)
    with served(app) as url:
        answer = httpx.get(f"{url}/in-middleware")
        assert _is_internal_error(answer, caplog)
        caplog.clear()
        # What was begun is broken off: it must not look like the whole of it.
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.get(f"{url}/begun")
    lines = [line for line in caplog.records if line.exc_info]
    assert [line.name for line in lines] == ["worker.api.problem_details"]
    assert lines[0].message.startswith("error_")
    assert lines[0].levelno == logging.ERROR


def test_what_fails_around_all_of_it_is_one_too(caplog):
    app = FastAPI()
    problem_details.add_handlers(app)

    class Breaks:
        def __init__(self, app):
            self.app = app

        async def __call__(self, scope, receive, send):
            if scope["type"] == "http":
                raise ZeroDivisionError("outside")
            await self.app(scope, receive, send)

    app.add_middleware(Breaks)
    with served(app) as url:
        assert _is_internal_error(httpx.get(url), caplog)


_QUOTE = '{"kind": "export", "license": "acme", "user": "u", "records": %s}'


def test_what_is_nested_deeply_is_taken_or_refused_and_never_unforeseen(api):
    api.license()
    for opening, closing in (("[", "]"), ('{"a":', "}")):
        for depth in (300, 900, 1_000, 100_000):
            deep = opening * depth + "1" + closing * depth
            record = f'[{{"company": {{"id": "c", "deep": {deep}}}}}]'
            for content in (deep, _QUOTE % deep, _QUOTE % record):
                answer = _post(api, "/v1/jobs", content)
                assert answer.status_code in {202, 422}, answer.text


def _post(api, path: str, content: bytes | str) -> httpx.Response:
    headers = {"Content-Type": "application/json"}
    answer: httpx.Response = api.admin.post(path, content=content, headers=headers)
    if answer.status_code >= 400:
        assert answer.headers["Content-Type"] == _PROBLEM
        assert answer.json()["status"] == answer.status_code
    return answer


def test_errors_of_the_framework_are_problems(api):
    for method, path, status in (
        ("GET", "/v1/nothing", 404),
        ("GET", "/", 404),
        ("TRACE", "/v1/licenses", 405),
        ("DELETE", "/healthz", 405),
    ):
        answer = api.admin.request(method, path)
        assert answer.status_code == answer.json()["status"] == status
        assert answer.headers["Content-Type"] == _PROBLEM
    for sent in (b"{", b"\xff\xfe", b'{"id": "\\ud800"}', b"[" * 200_000, b"1" * 5_000):
        assert _post(api, "/v1/licenses", sent).status_code == 422, sent[:9]


def test_no_header_is_unforeseen(api):
    for headers in (
        {"Content-Type": ""},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/json; charset=nothing"},
        {"Idempotency-Key": "\u00e9".encode()},
        {"Idempotency-Key": "x" * 5_000},
        {"Authorization": b"Bearer \xff\xfe"},
        {"Authorization": "Basic " + ADMIN_KEY},
        {"Host": "a b"},
        {"Host": "[::1"},
    ):
        answer = api.admin.post("/v1/licenses", content=b"{}", headers=headers)
        assert 400 <= answer.status_code < 500, headers
