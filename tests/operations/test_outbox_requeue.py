"""The outbox: what failed and waits is due at once, and nothing else is touched."""

from contextlib import closing

import pytest
from sqlalchemy import text

from storage.jobs import outbox
from storage.operations import action_log
from storage.operations.action_log import Acting, Actor, WantedActions
from tests.support import job_runs
from worker.operations import outbox_requeue

ADA = Acting(Actor("ada", "command line on a test"), "the store is back")
_HOUR_S = 3600


@pytest.fixture
def deps(database_url, tmp_path):
    wired = job_runs.wire_to(database_url, tmp_path)
    with closing(wired.database):
        yield wired


def _entry(deps, topic, key, *, state="pending", error=None) -> None:
    """An entry that waits for an hour, or runs, or is done."""
    with deps.database.transaction() as connection:
        outbox.put(connection, topic, key)
        connection.execute(
            text("""
                UPDATE outbox SET state = :state, last_error = :error,
                       run_at = clock_timestamp() + interval '1 hour',
                       lease_until = CASE WHEN :state = 'running'
                         THEN clock_timestamp() + interval '1 hour' END,
                       done_at = CASE WHEN :state = 'done' THEN clock_timestamp() END
                 WHERE topic = :topic AND key = :key"""),
            {"state": state, "error": error, "topic": topic, "key": key},
        )


def _due(deps) -> list[str]:
    with deps.database.transaction() as connection:
        query = text("""
            SELECT key FROM outbox WHERE run_at <= clock_timestamp() ORDER BY key""")
        return list(connection.execute(query).scalars())


def test_what_failed_is_due_and_noted_once(deps):
    _entry(deps, "a", "failed", error="boom")
    _entry(deps, "b", "failed too", error="boom")
    _entry(deps, "a", "waits by itself")
    _entry(deps, "a", "runs", state="running", error="boom")
    _entry(deps, "a", "done", state="done", error="boom")
    assert outbox_requeue.requeue(deps, ADA, topic="b") == 1
    assert outbox_requeue.requeue(deps, ADA) == 1
    assert outbox_requeue.requeue(deps, ADA) == 0
    assert _due(deps) == ["failed", "failed too"]
    with deps.database.transaction() as connection:
        noted = action_log.actions(connection, WantedActions())
    assert [(one.verb, one.target, one.affected) for one in noted] == [
        ("requeue", "all", 1),
        ("requeue", "b", 1),
    ]
    assert {one.license_id for one in noted} == {None}
