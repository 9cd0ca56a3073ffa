"""The operator's webhook is told of what the house finds until it accepts it."""

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from sqlalchemy import text

from storage.webhooks import operator_events
from storage.webhooks.operator_events import OperatorEventType
from tests.support import job_runs
from tests.support.receivers import Receiver, Reply, receiver
from worker.infrastructure.message_signatures import SIGNATURE, signed_headers
from worker.infrastructure.task_results import Done, Later, Never, TaskResult
from worker.jobs.outbox_runner import run_entry
from worker.retention.pruner import Pruner
from worker.wiring import Wired

_SECRET = "the-secret-of-the-operator"
_TO_A_PRIVATE_ADDRESS: dict[str, Any] = {
    "webhook_allow_private": True,
    "webhook_attempts_max": 3,
}


@pytest.fixture
def there() -> Iterator[Receiver]:
    with receiver() as there:
        yield there


def _wire(database_url, tmp_path, there: Receiver | None, **more: Any) -> Wired:
    given: dict[str, Any] = {
        "operator_webhook_url": there and there.url("/alerts"),
        "operator_webhook_secret": _SECRET,
    }
    return job_runs.wire_to(database_url, tmp_path, **given | more)


@pytest.fixture
def deps(database_url, tmp_path, there) -> Iterator[Wired]:
    deps = _wire(database_url, tmp_path, there, **_TO_A_PRIVATE_ADDRESS)
    with closing(deps.database):
        yield deps


def _happen(deps: Wired, subject: str = "run-1") -> None:
    with deps.database.transaction() as connection:
        type_ = OperatorEventType.AUDIT_VIOLATED
        operator_events.put(connection, type_, subject, {"counts": {"a_check": 1}})


def _run(deps: Wired) -> TaskResult | None:
    """Run what waits for the operator, as if its time had come."""
    with deps.database.transaction() as connection:
        entry_id = connection.execute(
            text("""
                UPDATE outbox SET run_at = clock_timestamp()
                 WHERE topic = 'operator.deliver' AND state = 'pending' RETURNING id""")
        ).scalar_one_or_none()
    return None if entry_id is None else run_entry(deps, entry_id)


def test_an_event_is_signed_as_others_are_and_told_once(deps, there):
    for _ in range(2):
        _happen(deps)
    assert _run(deps) == Done()
    assert _run(deps) is None
    (call,) = there.calls
    body = json.loads(call.body)
    assert list(body) == ["id", "type", "created_at", "data"]
    assert (call.path, body["type"]) == ("/alerts", "audit.violated")
    assert body["data"] == {"counts": {"a_check": 1}}
    header = call.headers[SIGNATURE]
    unix_s = int(header.removeprefix("t=").partition(",")[0])
    signed = signed_headers([_SECRET], body["id"], unix_s, call.body)
    assert header == signed[SIGNATURE]


def test_what_is_not_accepted_is_told_again_under_the_same_id_until_given_up(
    deps, there
):
    there.answer = lambda number: Reply(status=500 + number)
    _happen(deps)
    results = [_run(deps), _run(deps), _run(deps), _run(deps)]
    assert [type(result) for result in results] == [Later, Later, Never, type(None)]
    assert results[2] == Never("given up: answered 503")
    assert len({json.loads(call.body)["id"] for call in there.calls}) == 1


def test_the_guard_keeps_it_from_private_addresses(database_url, tmp_path, there):
    deps = _wire(database_url, tmp_path, there)
    with closing(deps.database):
        _happen(deps)
        assert isinstance(_run(deps), Later)
    assert there.calls == []


def test_an_operator_without_a_webhook_is_told_nothing(database_url, tmp_path):
    deps = _wire(database_url, tmp_path, None)
    with closing(deps.database):
        _happen(deps)
        assert _run(deps) == Never("the operator has no webhook")


def test_an_event_is_forgotten_after_its_time_once_it_was_told(deps):
    _happen(deps)

    def left() -> int:
        with deps.database.transaction() as connection:
            connection.execute(
                text("UPDATE operator_events SET created_at = '2020-01-01'")
            )
        Pruner(deps).turn()
        with deps.database.transaction() as connection:
            count: int = connection.execute(
                text("SELECT count(*) FROM operator_events")
            ).scalar_one()
        return count

    assert left() == 1
    _run(deps)
    assert left() == 0
