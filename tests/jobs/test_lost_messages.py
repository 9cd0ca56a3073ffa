"""A message is sent again where the broker has lost it, and nowhere else."""

import random
from collections import deque
from typing import Any

import pytest
from sqlalchemy import text

from storage.jobs import chunks, dispatch_queue, heartbeats, lost_messages, outbox
from storage.jobs.lost_messages import Sent
from tests.support.stored_jobs import make_job, make_license
from worker.jobs.message_queues import CHUNKS, SMALL
from worker.jobs.messages import lost_messages as finder
from worker.jobs.messages.broker_queues import BrokerSilent

_LONG_AGO_S = 100.0
_CHUNKS = Sent("chunks", CHUNKS)
_ENTRIES = Sent("outbox")


@pytest.fixture
def waiting(database):
    """Six chunks of a job, marked in an order that is not that of their ids."""
    with database.transaction() as connection:
        make_license(connection)
        make_job(connection, "job-1", 0, kind="export", chunks=[1] * 6)
        ids = list(connection.execute(text("SELECT id FROM chunks")).scalars())
    random.Random(5).shuffle(ids)
    return ids


def _send(database, ids: list[int]) -> None:
    with database.transaction() as connection:
        dispatch_queue.mark_chunks(connection, ids, CHUNKS)
        _age(connection, _LONG_AGO_S)


def _age(connection, by_s: float) -> None:
    connection.execute(
        text("""
            UPDATE chunks SET dispatched_at = dispatched_at
                   - make_interval(secs => :by_s) WHERE state = 'dispatched'"""),
        {"by_s": by_s},
    )


def _bring_back(database, messages: int, after_s: float = 60) -> set[int]:
    with database.transaction() as connection:
        lost_messages.bring_back(
            connection,
            _CHUNKS,
            messages=messages,
            asked_at=lost_messages.instant(connection),
            after_s=after_s,
        )
        rows = connection.execute(text("SELECT id FROM chunks WHERE state = 'pending'"))
        return set(rows.scalars())


def test_what_still_waits_in_the_broker_is_not_sent_again_however_long_it_waits(
    database, waiting
):
    _send(database, waiting)
    assert _bring_back(database, len(waiting)) == set()
    assert _bring_back(database, len(waiting) + 40) == set()


def test_a_broker_that_forgot_everything_is_sent_everything_again(database, waiting):
    _send(database, waiting)
    assert _bring_back(database, 0) == set(waiting)


def test_what_was_sent_first_is_what_is_missing(database, waiting):
    _send(database, waiting)
    assert _bring_back(database, 4) == set(waiting[:2])


def test_what_was_sent_a_moment_ago_may_be_on_its_way(database, waiting):
    _send(database, waiting[:3])
    with database.transaction() as connection:
        dispatch_queue.mark_chunks(connection, waiting[3:], CHUNKS)
    assert _bring_back(database, 0) == set(waiting[:3])


def test_what_is_sent_after_the_broker_was_asked_is_not_counted(database, waiting):
    _send(database, waiting[:3])
    with database.transaction() as connection:
        asked_at = lost_messages.instant(connection)
        dispatch_queue.mark_chunks(connection, waiting[3:], CHUNKS)
        found = lost_messages.bring_back(
            connection, _CHUNKS, messages=3, asked_at=asked_at, after_s=60
        )
    assert found == 0


def test_an_entry_is_sent_again_by_the_same_rule(database):
    with database.transaction() as connection:
        outbox.put(connection, "test", "a")
        (entry_id,) = dispatch_queue.mark_entries(connection, limit=10)
        for messages, found in ((1, 0), (0, 1)):
            asked_at = lost_messages.instant(connection)
            assert found == lost_messages.bring_back(
                connection, _ENTRIES, messages=messages, asked_at=asked_at, after_s=0
            )
        assert dispatch_queue.mark_entries(connection, limit=10) == [entry_id]


class _Broker:
    """First in, first out; it can be silent, and lose what it holds."""

    def __init__(self) -> None:
        self.messages: deque[int] = deque()
        self.is_silent = False

    def waiting(self, queue: str) -> int:
        if self.is_silent:
            raise BrokerSilent("it says nothing")
        return len(self.messages) if queue == CHUNKS else 0


def _turn(deps, broker: _Broker, dice: random.Random) -> None:
    """One thing that may happen: to the broker, in a worker, or in the dispatcher."""
    match dice.randrange(7):
        case 0 if broker.messages:
            del broker.messages[dice.randrange(len(broker.messages))]
        case 1:
            broker.messages.clear()
        case 2 | 3 if broker.messages:
            _take(deps, broker.messages.popleft())
        case 4:
            broker.is_silent = not broker.is_silent
        case _:
            _dispatch(deps, broker)
    with deps.database.transaction() as connection:
        _age(connection, dice.choice([0, 40, 100]))
        rows = connection.execute(
            text("SELECT count(*) FROM chunks WHERE state = 'dispatched'")
        ).scalar_one()
    stale = len(broker.messages) - len(set(broker.messages))
    assert len(broker.messages) <= rows + stale <= 2 * 6


def _take(deps, chunk_id: int) -> None:
    with deps.database.transaction() as connection:
        chunks.take(connection, chunk_id, owner="one", lease_s=3600)


def _dispatch(deps, broker: _Broker) -> None:
    finder.bring_back(deps, broker)
    with deps.database.transaction() as connection:
        found = dispatch_queue.waiting(connection, window=8)
        ids = [chunk.chunk_id for chunk in found]
        dispatch_queue.mark_chunks(connection, ids, CHUNKS)
    broker.messages.extend(ids)


class _Deps:
    def __init__(self, database, settings) -> None:
        self.database, self.settings = database, settings


@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_lost_everything_is_taken_once_and_no_message_is_one_too_many(
    database, waiting, seed
):
    class Settings:
        message_lost_s = 60.0
        report_interval_s = 10.0

    deps, broker, dice = _Deps(database, Settings), _Broker(), random.Random(seed)
    for _ in range(60):
        _turn(deps, broker, dice)
    broker.is_silent = False
    for _ in range(2 * len(waiting)):
        _dispatch(deps, broker)
        while broker.messages:
            _take(deps, broker.messages.popleft())
        with database.transaction() as connection:
            _age(connection, _LONG_AGO_S)
    with database.transaction() as connection:
        rows = connection.execute(text("SELECT state, attempt FROM chunks")).all()
    assert {tuple(row) for row in rows} == {("running", 1)}


@pytest.fixture
def small_and_large(database, waiting):
    """Three chunks in the queue of small jobs, and three in that of all others."""
    with database.transaction() as connection:
        dispatch_queue.mark_chunks(connection, waiting[:3], SMALL)
        dispatch_queue.mark_chunks(connection, waiting[3:], CHUNKS)
        _age(connection, _LONG_AGO_S)
    return waiting


def _after_a_look(database, waiting_in: dict[str, int]) -> set[int]:
    class Settings:
        message_lost_s = 60.0
        report_interval_s = 10.0

    class Broker:
        def waiting(self, queue: str) -> int:
            return waiting_in.get(queue, 0)

    deps: Any = _Deps(database, Settings)
    finder.bring_back(deps, Broker())
    with database.transaction() as connection:
        rows = connection.execute(text("SELECT id FROM chunks WHERE state = 'pending'"))
        return set(rows.scalars())


def test_what_one_queue_has_lost_is_sent_again_and_what_another_holds_is_not(
    database, small_and_large
):
    with database.transaction() as connection:
        heartbeats.report(connection, "new", "worker", [SMALL, CHUNKS])
    assert _after_a_look(database, {CHUNKS: 3}) == set(small_and_large[:3])


def test_what_stands_in_a_queue_that_not_all_workers_read_is_sent_to_all(
    database, small_and_large
):
    with database.transaction() as connection:
        heartbeats.report(connection, "new", "worker", [SMALL, CHUNKS])
        heartbeats.report(connection, "old", "worker")
    held = {SMALL: 3, CHUNKS: 3}
    assert _after_a_look(database, held) == set(small_and_large[:3])


def test_a_queue_is_used_once_all_workers_that_live_say_that_they_read_it(database):
    with database.transaction() as connection:
        assert not heartbeats.is_read(connection, SMALL, within_s=60)
        heartbeats.report(connection, "dispatcher", "dispatcher")
        heartbeats.report(connection, "new", "worker", [SMALL, CHUNKS])
        assert heartbeats.is_read(connection, SMALL, within_s=60)
        heartbeats.report(connection, "old", "worker")
        assert not heartbeats.is_read(connection, SMALL, within_s=60)
        connection.execute(
            text("""
                UPDATE processes SET seen_at = seen_at - interval '1 hour'
                 WHERE id = 'old'"""),
        )
        assert heartbeats.is_read(connection, SMALL, within_s=60)
