"""Held keys: one worker at a time creates by a key, and no doubt about it is lost."""

from contextlib import suppress

import pytest
from sqlalchemy import text

from storage.connections import key_locks
from storage.connections.key_locks import Hold
from storage.crm_changes import Change
from storage.pushes import intents
from storage.pushes.intents import Intent
from tests.support.push_runs import Killed, connect, contact, submit
from tests.support.receivers import receiver
from worker.connections import connections
from worker.connections.connectors.connector import Kind
from worker.connections.connectors.errors import Throttled, Unavailable
from worker.connections.key_locks import HeldKeys
from worker.wiring import Wired


@pytest.fixture
def connection(house: Wired, sandbox) -> str:
    url = {"url": f"{sandbox.url}/pipedrive"}
    return connect(house, "pipedrive", url, {"api_token": "token"})


@pytest.fixture
def keys_of(house: Wired, connection: str):
    """Makes what a worker holds keys by; it looks at them before each request."""

    def make(settle_s: float = 0.1) -> HeldKeys:
        return HeldKeys(house.database, connection, request_s=0, settle_s=settle_s)

    return make


def _lapse(house: Wired) -> None:
    """Let the time pass that a hold lasts."""
    with house.database.transaction() as connection:
        connection.execute(
            text("""
                UPDATE held_keys
                   SET held_until = clock_timestamp() - interval '1 minute'""")
        )


def _held(keys: HeldKeys):
    return keys.held(Kind.PERSON, "p1")


def test_whoever_has_lost_a_key_makes_no_further_request_by_it(house, keys_of):
    slow, other = keys_of(), keys_of()
    with suppress(Unavailable), _held(slow):
        _lapse(house)
        with _held(other) as taken:
            assert taken.in_doubt
            with pytest.raises(Unavailable) as lost:
                slow.extend()
            assert not lost.value.sent
            other.extend()
            raise lost.value


def test_a_key_stays_held_as_long_as_requests_are_made(house, connection, keys_of):
    slow = keys_of(settle_s=60)
    key = (connection, Kind.PERSON, "p1")
    with _held(slow):
        _lapse(house)
        slow.extend()
        with house.database.transaction() as open_:
            taken = key_locks.take(open_, *key, owner="another", hold_s=60)
    assert taken is Hold.REFUSED


def test_a_doubt_that_could_not_be_cleared_is_the_next_ones(house, keys_of):
    with suppress(Killed), _held(keys_of()):
        raise Killed
    _lapse(house)
    with suppress(Throttled), _held(keys_of()) as second:
        assert second.in_doubt
        raise Throttled("no searches now", 1)
    with _held(keys_of()) as third:
        assert third.in_doubt
    with _held(keys_of()) as fourth:
        assert not fourth.in_doubt


def test_what_was_made_and_not_remembered_is_in_doubt(house, keys_of, monkeypatch):
    def fail(*_):
        raise RuntimeError

    with monkeypatch.context() as patched:
        patched.setattr(HeldKeys, "remember", fail)
        with suppress(RuntimeError), _held(keys_of()) as made:
            made.made("4711")
    with _held(keys_of()) as held:
        assert held.in_doubt


def test_a_doubt_outlasts_the_time_that_holds_are_kept(house, connection, keys_of):
    job_id = submit(house, connection, [contact("c1", "p1")])
    with suppress(Killed), _held(keys_of()):
        raise Killed
    _lapse(house)
    intent = Intent(
        kind=Kind.PERSON,
        our_id="p1",
        change=Change.CREATED,
        their_id=None,
        fields=("name",),
    )
    with house.database.transaction() as open_:
        intents.put(open_, job_id, 1, [intent])
        assert key_locks.forget(open_, after_s=0, limit=10) == 0
        intents.forget_job(open_, job_id)
        assert key_locks.forget(open_, after_s=0, limit=10) == 1


def test_whoever_has_lost_the_work_while_waiting_for_the_limit_sends_nothing(house):
    class Lost(Exception):
        pass

    looks: list[None] = []

    def beat() -> None:
        looks.append(None)
        if len(looks) > 1:
            raise Lost

    with receiver() as there:
        url = {"url": there.url()}
        made = connect(house, "webhook", url, {"signing_secret": "s"})
        opened = house.crms.open(connections.get(house, made), beat)
        with pytest.raises(Lost):
            opened.connector.test()
        assert there.calls == []
