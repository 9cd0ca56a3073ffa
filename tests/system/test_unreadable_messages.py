"""What others put into our queues costs no worker, and nothing that waits."""

import json
from functools import partial
from typing import Any

import pytest
from sqlalchemy import text

from tests.support.fleet import assert_exact, load_persons, submit, until
from worker.jobs.message_queues import CHUNKS, CONTROL, RUN_CHUNK

_PERSONS = 40
_BODY = json.dumps([[1], {}, {}])
_OURS = {"task": RUN_CHUNK, "id": "x"}

_UNREADABLE: list[dict[str, Any]] = [
    {"body": "hello", "content_type": "text/plain"},
    {"body": "hello", "headers": _OURS},
    {"body": "hello", "headers": _OURS, "content_type": "application/x-python"},
    {"body": "", "headers": _OURS},
    {"body": _BODY, "headers": {"task": "somebody.elses", "id": "x"}},
    {"body": _BODY, "headers": {"task": ["chunk.run"], "id": "x"}},
    {"body": _BODY, "headers": {"id": "x"}},
    {"body": json.dumps([[], {}, {}]), "headers": _OURS},
    {"body": json.dumps([["one"], {}, {}]), "headers": _OURS},
    {"body": json.dumps([[1], {"and": 2}, {}]), "headers": _OURS},
    {"body": json.dumps({"task": RUN_CHUNK}), "headers": _OURS},
    {"body": json.dumps([[2**70], {}, {}]), "headers": _OURS},
    {"body": json.dumps([["x" * 100_000], {}, {}]), "headers": _OURS},
]
"""Bodies, headers and types that no sender of ours would write."""

_NO_MESSAGES = ["hello", "[]", "{}", '"x"', '{"body": 1}', '{"properties": {}}']
"""What is no message even to a client of Redis that speaks Celery."""


def _dropped(fleet) -> dict[str, int]:
    with fleet.deps.database.transaction() as connection:
        rows = connection.execute(
            text("SELECT reason, sum(count) FROM dropped_messages GROUP BY reason")
        )
        return {reason: int(count) for reason, count in rows}


def test_what_cannot_be_read_and_what_is_done_costs_no_worker_and_no_child(
    fleet, broker
):
    load_persons(fleet.deps, _PERSONS)
    # Whatever its size, a job goes by the broker.
    _, worker = fleet.start("dispatcher", "worker", SMALL_JOB_RECORDS="0")
    job_id = submit(fleet.deps, 0, 10)
    assert_exact(fleet, job_id, 0, 10)
    done = fleet.scalar("SELECT id FROM chunks WHERE job_id = :j", j=job_id)
    copy = {"body": json.dumps([[done], {}, {}]), "headers": _OURS}
    raw = _NO_MESSAGES if hasattr(broker, "plant_raw") else []
    for queue in (CHUNKS, CONTROL):
        for message in (*_UNREADABLE, copy):
            broker.plant(queue, **message)
        for words in raw:
            broker.plant_raw(queue, words)
    assert_exact(fleet, submit(fleet.deps, 10, _PERSONS), 10, _PERSONS)
    planted = 2 * (len(_UNREADABLE) + len(raw))
    until(lambda: sum(_dropped(fleet).values()) >= planted + 2)
    dropped = _dropped(fleet)
    assert dropped.pop("stale") == 2
    assert sum(dropped.values()) == planted
    assert worker.poll() is None
    assert fleet.log().count(f"Task {RUN_CHUNK}[{RUN_CHUNK}:{done}:") == 2, (
        "it was received once and done once"
    )


def _has_ended(process) -> bool:
    return process.poll() is not None


@pytest.mark.slow
def test_where_workers_end_on_what_stands_in_the_broker_it_is_emptied(fleet, broker):
    if not hasattr(broker, "spoil"):
        pytest.skip("a queue of RabbitMQ is nothing but a queue")
    load_persons(fleet.deps, _PERSONS)
    broker.spoil(CHUNKS)
    job_id = submit(fleet.deps, 0, _PERSONS)
    fleet.start("dispatcher")
    for _ in range(3):
        (worker,) = fleet.start("worker")
        until(partial(_has_ended, worker))
        assert worker.returncode == 1
    fleet.start("worker")
    assert_exact(fleet, job_id, 0, _PERSONS)
