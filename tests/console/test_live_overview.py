"""The live overview: one look a second whoever watches, and only what has changed."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from sqlalchemy import Engine, event

from storage.access_scopes import Scope
from storage.licenses import api_keys as kept_keys
from tests.console.conftest import SIGN_IN
from tests.console.test_pages import submitted
from worker.console.live_overview import PARTS
from worker.infrastructure.clock import Stopwatch

_WATCHERS = 12


def _parts(lines) -> dict[str, str]:
    """The next parts that a stream tells."""
    for line in lines:
        if line.startswith("data: "):
            parts: dict[str, str] = json.loads(line.removeprefix("data: "))
            return parts
    raise AssertionError("the stream has ended")


def test_who_watches_is_told_of_a_new_job(api, browse):
    api.license()
    operator = browse()
    with operator.http.stream("GET", "/console/live") as stream:
        lines = stream.iter_lines()
        assert set(_parts(lines)) == set(PARTS)
        job = submitted(api)
        while job not in _parts(lines).get("jobs", ""):
            pass


def test_a_bound_key_and_a_finance_key_watch_nothing_of_the_house(api, browse):
    api.license()
    for browser in (browse(Scope.OPERATOR, "acme"), browse(Scope.FINANCE)):
        assert browser.open("/console/live").status_code == 403


@pytest.mark.parametrize("settings", [{"console_session_s": 5.0}])
def test_a_stream_ends_a_while_after_its_sign_in(browse):
    operator = browse()
    with operator.http.stream("GET", "/console/live") as stream:
        lines = stream.iter_lines()
        assert set(_parts(lines)) == set(PARTS)
        for _ in lines:
            pass
    assert operator.open("/console/").url.path == SIGN_IN


@pytest.mark.parametrize("how", ["key", "sign-out"])
def test_a_stream_ends_with_its_key_and_by_signing_out(api, browse, how):
    ends, goes_on = browse(), browse()
    with (
        ends.http.stream("GET", "/console/live") as stream,
        goes_on.http.stream("GET", "/console/live") as other,
    ):
        lines, others = stream.iter_lines(), other.iter_lines()
        assert set(_parts(lines)) == set(_parts(others)) == set(PARTS)
        if how == "key":
            with api.deps.database.transaction() as connection:
                key_id = connection.exec_driver_sql(
                    "SELECT id FROM keys WHERE name <> 'bootstrap'"
                    " ORDER BY created_at LIMIT 1"
                ).scalar_one()
                kept_keys.revoke(connection, key_id)
        else:
            with httpx.Client(base_url=api.url, cookies=ends.http.cookies) as http:
                page = http.get("/console/jobs").text
                token = page.partition('name="csrf_token" value="')[2].partition('"')[0]
                http.post("/console/sign-out", data={"csrf_token": token})
        for _ in lines:
            pass
        api.license()
        job = submitted(api)
        while job not in _parts(others).get("jobs", ""):
            pass


def test_many_who_watch_cost_one_look_a_second(api, browse):
    api.license()
    operator, watching = browse(), threading.Barrier(_WATCHERS + 1)
    told: list[bool] = []

    def watch() -> None:
        with (
            httpx.Client(base_url=api.url, cookies=operator.http.cookies) as http,
            http.stream("GET", "/console/live", timeout=30) as stream,
        ):
            lines = stream.iter_lines()
            _parts(lines)
            watching.wait(30)
            told.append("Three" in _parts(lines)["jobs"])

    threads = [threading.Thread(target=watch, daemon=True) for _ in range(_WATCHERS)]
    with _counted() as looks:
        elapsed = Stopwatch()
        for thread in threads:
            thread.start()
        watching.wait(30)
        submitted(api)
        for thread in threads:
            thread.join(max(0, 60 - elapsed.elapsed_s))
        assert told == [True] * _WATCHERS
        assert len(looks) <= 2 + elapsed.elapsed_s


@contextmanager
def _counted() -> Iterator[list[str]]:
    """The statements of looks that this process, and so its API, sends meanwhile."""
    sent: list[str] = []

    def note(_: object, __: object, statement: str, *___: object) -> None:
        if "WITH open AS MATERIALIZED" in statement:
            sent.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(Engine, "before_cursor_execute", note)
