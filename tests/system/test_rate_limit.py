"""How much a key may ask: of all processes with a Redis, else of each by itself."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from tests.support.fleet import kill
from tests.support.servers import own_broker

_RATE_A_MINUTE = 10
_KEY = "the-key-of-the-tests-1"


@contextmanager
def _api(home: Path, **settings: str) -> Iterator[httpx.Client]:
    """An API process on a socket that listens already, and a client of it."""
    environment = {
        "HOLDFAST_HOME": str(home),
        "HOLDFAST_BOOTSTRAP_KEY": _KEY,
        "HOLDFAST_RATE_A_MINUTE": str(_RATE_A_MINUTE),
        # An API sends nothing to it, and counts nothing in one that is no Redis.
        "HOLDFAST_BROKER_URL": "amqp://127.0.0.1:1",
        **settings,
    }
    with socket.create_server(("127.0.0.1", 0)) as listening:
        host, port = listening.getsockname()
        words = ("-P", "-m", "worker.cli", "api", "--fd", str(listening.fileno()))
        process = subprocess.Popen(
            [sys.executable, *words],
            env=dict(os.environ) | environment,
            pass_fds=[listening.fileno()],
            start_new_session=True,
        )
    try:
        key = {"Authorization": f"Bearer {_KEY}"}
        url = f"http://{host}:{port}"
        with httpx.Client(base_url=url, headers=key, timeout=60) as client:
            yield client
    finally:
        kill(process)


def _statuses(client: httpx.Client, count: int) -> list[int]:
    return [client.get("/v1/licenses").status_code for _ in range(count)]


@pytest.fixture
def processes(database_url: str, tmp_path: Path) -> Iterator["_Two"]:
    with ExitStack() as stack:
        yield _Two(stack, tmp_path, database_url)


class _Two:
    """Starts two API processes on one database and one home."""

    def __init__(self, stack: ExitStack, folder: Path, database_url: str) -> None:
        self._stack = stack
        self._folder = folder
        self._database_url = database_url

    def start(self, **settings: str) -> tuple[httpx.Client, httpx.Client]:
        settings["HOLDFAST_DATABASE_URL"] = self._database_url
        home = self._folder / "home"
        one, two = (self._stack.enter_context(_api(home, **settings)) for _ in "12")
        return one, two


def test_two_processes_with_one_redis_count_a_key_together(processes, tmp_path):
    with own_broker(tmp_path / "redis") as redis, redis.running():
        one, two = processes.start(HOLDFAST_REDIS_URL=redis.url)
        assert _statuses(one, 7) == [200] * 7
        assert _statuses(two, 4) == [200, 200, 200, 429]
        refused = one.get("/v1/licenses")
        assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
        assert 0 < int(refused.headers["Retry-After"]) <= 60


def test_without_a_redis_each_process_counts_for_itself(processes):
    for client in processes.start():
        assert _statuses(client, 11) == [200] * 10 + [429]


def test_a_redis_that_goes_away_leaves_each_process_counting_for_itself(
    processes, tmp_path
):
    with own_broker(tmp_path / "redis") as redis:
        with redis.running():
            one, two = processes.start(HOLDFAST_REDIS_URL=redis.url)
            assert _statuses(one, 1) + _statuses(two, 1) == [200, 200]
        for client in (one, two):
            assert _statuses(client, 11) == [200] * 10 + [429]
