"""A client that hangs up while it submits: its job is there once or not at all."""

import json
import socket
import struct
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import product
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
from sqlalchemy import text

from tests.api.conftest import ADMIN_KEY, Api
from worker.api.idempotency_keys import IDEMPOTENCY_KEY

_ROUNDS = 2
_WAITS = (0.01, 0.03, 0.1)
_RST = struct.pack("ii", 1, 0)


class _Attempt(NamedTuple):
    """A submit that is cut off: how much of its body goes out, and how it ends."""

    name: str
    body: dict[str, Any]
    key: str | None
    share: float
    reset: bool
    patience_s: float
    """For so long it waits for an answer to a whole body."""

    @property
    def sent(self) -> bytes:
        return json.dumps(self.body).encode()


@pytest.fixture
def settings() -> dict[str, object]:
    return {"rate_a_minute": 1_000_000}


def _attempts(api: Api) -> list[_Attempt]:
    """Every moment, ending, kind of body, with and without a key, many times."""
    shares, either = (0.0, 0.5, 1.0), (False, True)
    moments = [(share, 0.0) for share in shares] + [(1.0, wait) for wait in _WAITS]
    ways = product(range(_ROUNDS), moments, either, either, either)
    return [
        _Attempt(
            name=f"job {number}",
            body=_body(api, number, quoted=quoted) | {"name": f"job {number}"},
            key=f"job {number}" if keyed else None,
            share=share,
            reset=reset,
            patience_s=patience_s,
        )
        for number, (_, (share, patience_s), reset, quoted, keyed) in enumerate(ways)
    ]


def _body(api: Api, number: int, *, quoted: bool) -> dict[str, Any]:
    body = {
        "kind": "export",
        "license": "acme",
        "user": "ada",
        "records": [{"company": {"id": f"c{number}"}}],
    }
    if not quoted:
        return body
    return {"quote": api.admin.post("/v1/quotes", json=body).json()["id"]}


def _hang_up(api: Api, attempt: _Attempt) -> None:
    url = urlsplit(api.url)
    body = attempt.sent
    lines = [
        "POST /v1/jobs HTTP/1.1",
        f"Host: {url.netloc}",
        f"Authorization: Bearer {ADMIN_KEY}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    ]
    if attempt.key:
        lines.append(f"{IDEMPOTENCY_KEY}: {attempt.key}")
    head = "\r\n".join([*lines, "", ""]).encode()
    with socket.create_connection((url.hostname, url.port)) as client:
        client.sendall(head + body[: int(len(body) * attempt.share)])
        if attempt.patience_s:
            client.settimeout(attempt.patience_s)
            with suppress(TimeoutError):
                client.recv(1)
        if attempt.reset:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST)


def _retry(api: Api, attempt: _Attempt) -> str:
    """The job that the same request is answered with, twice the same."""
    headers = {"Content-Type": "application/json", IDEMPOTENCY_KEY: attempt.key or ""}
    first, again = (
        api.admin.post("/v1/jobs", content=attempt.sent, headers=headers)
        for _ in range(2)
    )
    assert first.status_code == 202, first.text
    assert again.content == first.content
    return str(first.json()["id"])


def _jobs_by_name(api: Api) -> dict[str, list[str]]:
    with api.deps.database.transaction() as connection:
        rows = connection.execute(
            text("""
                SELECT name, array_agg(jobs.id) AS jobs FROM jobs
                  JOIN reservations ON reservations.job_id = jobs.id GROUP BY name""")
        )
        return {row.name: row.jobs for row in rows}


def test_a_client_that_hangs_up_has_its_job_once_or_not_at_all(api):
    api.license(credits=10_000)
    attempts = _attempts(api)

    def hang_up_and_ask_again(attempt: _Attempt) -> str | None:
        _hang_up(api, attempt)
        # At once: the first may be under way.
        return _retry(api, attempt) if attempt.key else None

    with ThreadPoolExecutor(8) as threads:
        answered = list(threads.map(hang_up_and_ask_again, attempts))
    retried = {
        attempt.name: job
        for attempt, job in zip(attempts, answered, strict=True)
        if job
    }
    made = _jobs_by_name(api)
    assert all(len(jobs) == 1 for jobs in made.values()), made
    assert {name: [job] for name, job in retried.items()}.items() <= made.items()
    cut_off = {a.name for a in attempts if a.share < 1 and not a.key}
    assert not cut_off & set(made), "half a body is no request"
    api.work()
    with api.deps.database.transaction() as connection:
        lines = connection.execute(
            text("SELECT job_id, count(*) AS charges FROM charges GROUP BY job_id")
        )
        charged = {row.job_id: row.charges for row in lines}
    assert charged.keys() >= {job for (job,) in made.values()}
    assert set(charged.values()) == {1}
