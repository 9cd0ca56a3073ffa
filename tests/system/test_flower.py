"""Flower, the real program, beside workers that offer it something, or nothing."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from tests.support.fleet import Fleet, assert_exact, kill, load_persons, submit, until

pytestmark = pytest.mark.slow

_RECORDS = 60


@contextmanager
def _flower(fleet: Fleet, broker_url: str, *words: str) -> Iterator[httpx.Client]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    program = [sys.executable, "-m", "celery", "-A", "worker.flower_app", "flower"]
    with (fleet._folder / "flower.log").open("wb") as output:
        process = subprocess.Popen(
            [*program, "--address=127.0.0.1", f"--port={port}", *words],
            env=os.environ
            | {"HOLDFAST_BROKER_URL": broker_url, "FLOWER_UNAUTHENTICATED_API": "1"},
            cwd=fleet._folder,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20)
    try:
        until(lambda: _answers(client))
        yield client
    finally:
        client.close()
        kill(process)


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/healthcheck").status_code == 200
    except httpx.HTTPError:
        return False


def _tasks(client: httpx.Client) -> list[dict[str, Any]]:
    return list(client.get("/api/tasks").json().values())


def _workers(client: httpx.Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get("/workers?json=1").json()["data"]
    return found


@pytest.mark.parametrize(("offered", "detail"), [("events", 404), ("control", 200)])
def test_flower_shows_workers_queues_and_what_became_of_tasks(
    fleet, broker, offered, detail
):
    load_persons(fleet.deps, _RECORDS)
    with _flower(fleet, broker.url, "--read-only") as flower:
        fleet.start("worker", "dispatcher", CELERY_MONITORING=offered)
        assert_exact(fleet, submit(fleet.deps, 0, _RECORDS), 0, _RECORDS)
        tasks = until(lambda: _ended(flower))
        (worker,) = _workers(flower)
        # Pool, queues and settings of a worker are what it answers when it is asked.
        until(lambda: _detail(flower, worker["hostname"]) == detail)
        queues = flower.get("/api/queues/length").json()["active_queues"]
        pages = [flower.get(page).status_code for page in ("/tasks", "/broker")]
    with fleet.deps.database.reading() as connection:
        chunks = connection.exec_driver_sql("SELECT id FROM chunks ORDER BY id")
        ids = [f"({one},)" for one in chunks.scalars()]
    assert worker["status"] is True
    assert sorted(one["args"] for one in tasks if one["name"] == "chunk.run") == ids
    assert {one["name"]: one["messages"] for one in queues} == {
        "chunks": 0,
        "control": 0,
        "small": 0,
    }
    assert pages == [200, 200]


def _ended(flower: httpx.Client) -> list[dict[str, Any]]:
    """All tasks, once both chunks and none that is under way are among them."""
    tasks = _tasks(flower)
    are_there = len([one for one in tasks if one["name"] == "chunk.run"]) == 2
    return tasks if are_there and {one["state"] for one in tasks} == {"SUCCESS"} else []


def _detail(flower: httpx.Client, worker: str) -> int:
    return flower.get(f"/worker/{worker}").status_code


def test_a_worker_offers_neither_tasks_nor_control_unless_it_is_told_to(fleet, broker):
    load_persons(fleet.deps, 2 * _RECORDS)
    with _flower(fleet, broker.url) as flower:
        fleet.start("worker", "dispatcher")
        assert_exact(fleet, submit(fleet.deps, 0, _RECORDS), 0, _RECORDS)
        (worker,) = until(lambda: _workers(flower))
        stopped = flower.post(f"/api/worker/shutdown/{worker['hostname']}")
        job = submit(fleet.deps, _RECORDS, 2 * _RECORDS)
        assert_exact(fleet, job, _RECORDS, 2 * _RECORDS)
        tasks = _tasks(flower)
    assert stopped.status_code in (200, 404)
    assert tasks == []
