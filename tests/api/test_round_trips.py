"""A request asks the database few times: each is a wait, for it and for all others."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Engine, event

_BODY = {
    "kind": "export",
    "license": "acme",
    "user": "ada",
    "retrieve": ["email", "phone"],
    "records": [{"company": {"id": "c1"}, "person": {"id": "p1"}}],
}


@contextmanager
def _counted() -> Iterator[list[str]]:
    """What is asked of any database, as long as the block."""
    asked: list[str] = []

    def note(_: object, __: object, statement: str, *___: object) -> None:
        asked.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(Engine, "before_cursor_execute", note)


@pytest.fixture
def ready(api):
    """An API that has answered before: what is asked once has been asked."""
    api.license(credits=10_000)
    assert api.admin.post("/v1/jobs", json=_BODY).status_code == 202
    return api


def test_quoting_and_submitting_at_once_asks_ten_times(ready):
    with _counted() as asked:
        assert ready.admin.post("/v1/jobs", json=_BODY).status_code == 202
    # The key; license and balance; whom the directory knows, what was paid; the quote;
    # whether it still holds; who spends; the reservation; the job with its chunks; how
    # it stands.
    assert len(asked) <= 10, asked


def test_submitting_a_quote_asks_seven_times(ready):
    quote = ready.admin.post("/v1/quotes", json=_BODY).json()
    with _counted() as asked:
        made = ready.admin.post("/v1/jobs", json={"quote": quote["id"]})
        assert made.status_code == 202
    assert len(asked) <= 7, asked


def test_looking_at_a_job_asks_twice(ready):
    job = ready.admin.post("/v1/jobs", json=_BODY).json()
    with _counted() as asked:
        assert ready.admin.get(f"/v1/jobs/{job['id']}").status_code == 200
    assert len(asked) <= 2, asked
