"""One business time for all, by a clock that is believed as far as it is confirmed.

Where a test is about a wrong clock, the database's own is moved.
"""

import ast
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from pricing.business_time import LEEWAY, Belief
from pricing.plans import PaymentTerm
from storage.database import Database
from storage.ledger import audit, business_clock
from storage.licenses import idempotency_keys
from storage.licenses.idempotency_keys import Request
from storage.licenses.licenses import business_now
from tests.support import job_runs
from tests.support.business_time import DAY_S, make_clock_movable, move_clock
from worker.chores import chores_of
from worker.infrastructure.errors import Code, Refused
from worker.infrastructure.settings import Settings
from worker.jobs import submission
from worker.jobs.sweeper import sweep
from worker.ledger import balances
from worker.ledger.business_clock import Ticker, start, state_of
from worker.retention.pruner import Pruner
from worker.wiring import Wired, wire

FORTY_DAYS = timedelta(days=40)
REQUEST = Request(key_id="k", license_id=None, idempotency_key="i", digest="d")
_SLACK = timedelta(seconds=30)
"""What a test may take from one look to the next."""


class Counted:
    """A clock that counts as far as the test says."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def movable(database_url) -> str:
    """A database whose clock can jump."""
    make_clock_movable(database_url)
    url: str = database_url
    return url


@pytest.fixture
def deps(movable, tmp_path) -> Iterator[Wired]:
    wired = job_runs.wire_to(movable, tmp_path)
    with closing(wired.database):
        job_runs.create_license(wired, term=PaymentTerm.MONTHLY)
        yield wired


@pytest.fixture
def counted() -> Counted:
    return Counted()


@pytest.fixture
def ticker(deps, counted) -> Ticker:
    """A ticker that has ticked once."""
    ticker = Ticker(deps.database, counted=counted)
    ticker.tick()
    return ticker


def _tick(ticker: Ticker, counted: Counted, seconds: float = 0) -> Belief:
    counted.seconds += seconds
    return ticker.tick()


def _now(database: Database) -> datetime:
    with database.transaction() as connection:
        return business_now(connection)


def _periods(deps: Wired) -> list[tuple[object, ...]]:
    with deps.database.transaction() as connection:
        rows = connection.execute(
            text("""
                SELECT granted, spent, expired, ended_at IS NOT NULL FROM periods
                 ORDER BY starts_at""")
        )
        return [tuple(row) for row in rows]


def _do_what_cannot_be_undone(deps: Wired) -> None:
    sweep(deps)
    Pruner(deps).turn()


def _old_things(deps: Wired) -> dict[str, int]:
    """What goes by its age, or by a deadline: how much of each there is."""
    queries = {
        "inputs": "SELECT count(*) FROM quotes WHERE input IS NOT NULL",
        "events": "SELECT count(*) FROM events",
        "entries": "SELECT count(*) FROM outbox",
        "requests": "SELECT count(*) FROM requests",
        "open jobs": "SELECT count(*) FROM jobs WHERE state = 'queued'",
        "open periods": "SELECT count(*) FROM periods WHERE ended_at IS NULL",
    }
    with deps.database.transaction() as connection:
        return {
            name: connection.execute(text(query)).scalar_one()
            for name, query in queries.items()
        }


def test_processes_with_other_settings_go_by_one_time(database_url, tmp_path):
    url = {"home": tmp_path, "database_url": database_url}
    here = wire(Settings(**url))
    there = wire(Settings(**url, clock_offset_s=40 * DAY_S))
    with closing(here.database), closing(there.database):
        assert abs(_now(there.database) - _now(here.database)) < _SLACK
        before = _now(here.database)
        start(there.database, 40 * DAY_S)
        assert abs(_now(here.database) - before - FORTY_DAYS) < _SLACK


def test_a_process_with_another_setting_ends_no_period(database_url, tmp_path):
    deps = job_runs.wire_to(database_url, tmp_path)
    job_runs.create_license(deps, term=PaymentTerm.MONTHLY)
    ahead = job_runs.wire_to(database_url, tmp_path, clock_offset_s=40 * DAY_S)
    with closing(deps.database), closing(ahead.database):
        Ticker(ahead.database).tick()
        _do_what_cannot_be_undone(ahead)
        for one in (deps, ahead):
            assert balances.balance_of(one, "acme").available == 500
        assert _periods(deps) == [(500, 0, 0, False)]


@pytest.mark.parametrize("ticks", [False, True])
def test_a_jump_of_the_databases_clock_undoes_nothing_until_it_is_confirmed(
    deps, ticker, counted, ticks
):
    for contact in ("c1", "c2"):
        submission.submit(deps, job_runs.quote(deps, [contact]).id)
    with deps.database.transaction() as connection:
        idempotency_keys.make(connection, REQUEST, "job_1")
        connection.execute(
            text("UPDATE outbox SET state = 'done', done_at = clock_timestamp()")
        )
    before, now = _old_things(deps), _now(deps.database)
    move_clock(deps.database, timedelta(days=400))
    if ticks:
        assert _tick(ticker, counted, 60).held_since is not None
    _do_what_cannot_be_undone(deps)
    assert _old_things(deps) == before
    assert balances.balance_of(deps, "acme").reserved == 2
    assert now <= _now(deps.database) <= now + LEEWAY + _SLACK
    with deps.database.transaction() as connection:
        business_clock.confirm(connection)
    assert _now(deps.database) > now + timedelta(days=399)
    _do_what_cannot_be_undone(deps)
    after = _old_things(deps)
    assert after["open periods"] == after["open jobs"] == after["requests"] == 0
    move_clock(deps.database, timedelta())
    job_runs.complete(deps)


def test_a_clock_that_is_held_back_is_told_and_so_is_its_return(
    deps, ticker, counted, caplog
):
    move_clock(deps.database, FORTY_DAYS)
    _tick(ticker, counted, 60)
    (told,) = caplog.records
    assert told.levelno == logging.CRITICAL
    assert "holdfast clock accept" in told.message
    with deps.database.transaction() as connection:
        reading = business_clock.read(connection)
    assert state_of(reading) == "held_back"
    assert abs(reading.held_back_by - FORTY_DAYS) < timedelta(minutes=2)
    before = _now(deps.database)
    _tick(ticker, counted, 60)
    assert _now(deps.database) - before == timedelta(minutes=1)
    caplog.clear()
    move_clock(deps.database, timedelta(minutes=2))
    _tick(ticker, counted)
    (told,) = caplog.records
    assert told.levelno == logging.WARNING
    with deps.database.transaction() as connection:
        assert state_of(business_clock.read(connection)) == "ok"


@pytest.mark.parametrize("who", ["up", "dispatcher"])
def test_a_week_in_which_nothing_ran_needs_nobody(deps, who):
    with deps.database.transaction() as connection:
        connection.execute(
            text(
                "UPDATE business_clock SET trusted_at = trusted_at - interval '1 week'"
            )
        )
    if who == "up":
        start(deps.database, None)
    else:
        # Before it sweeps for the first time.
        chores_of(deps)[0].do()
    with deps.database.transaction() as connection:
        reading = business_clock.read(connection)
    assert state_of(reading) == "ok"
    assert reading.clock_at - reading.belief.trusted_at < _SLACK


def test_of_many_who_tick_at_once_none_moves_trust_twice(movable, deps, counted):
    move_clock(deps.database, FORTY_DAYS)
    with closing(Database(movable, pool=8)) as crowd:
        tickers = [Ticker(crowd, counted=counted) for _ in range(8)]
        with deps.database.transaction() as connection:
            before = business_clock.read(connection).belief.trusted_at
        with ThreadPoolExecutor(8) as threads:
            for _ in range(5):
                list(threads.map(Ticker.tick, tickers))
                counted.seconds += 60
            list(threads.map(Ticker.tick, tickers))
    with deps.database.transaction() as connection:
        trusted_at = business_clock.read(connection).belief.trusted_at
    assert trusted_at - before <= timedelta(minutes=5)


def test_a_balance_is_answered_at_once_whatever_the_clock_has_done(
    deps, ticker, counted
):
    """A license whose period was ended by a confirmed, wrong clock is not locked."""
    move_clock(deps.database, FORTY_DAYS)
    with deps.database.transaction() as connection:
        business_clock.confirm(connection)
    sweep(deps)
    move_clock(deps.database, timedelta())
    with deps.database.transaction() as connection:
        business_clock.confirm(connection)
    assert _periods(deps) == [(500, 0, 500, True)]
    # Its next period runs at once, and top-ups go there.
    assert balances.balance_of(deps, "acme").available == 500
    assert balances.top_up(deps, "acme", 10, "invoice-1")
    assert submission.submit(deps, job_runs.quote(deps, ["c1"]).id)
    assert balances.balance_of(deps, "acme").available == 509
    with deps.database.transaction() as connection:
        assert audit.run(connection) == []
    # Nor is a second grant there, once that period has come.
    move_clock(deps.database, FORTY_DAYS)
    with deps.database.transaction() as connection:
        business_clock.confirm(connection)
    assert balances.balance_of(deps, "acme").available == 509
    assert _periods(deps) == [(500, 0, 500, True), (510, 0, 0, False)]


def test_looking_again_has_an_end(deps):
    """A rule that no period can fulfil is answered, not asked for ever."""
    with deps.database.transaction() as connection:
        connection.execute(
            text("""
                CREATE OR REPLACE FUNCTION holdfast_running_period(license text)
                RETURNS bigint LANGUAGE sql STABLE AS 'SELECT NULL::bigint'""")
        )
    stored = job_runs.quote(deps, ["c1"])
    for ask in (
        lambda: balances.balance_of(deps, "acme"),
        lambda: balances.top_up(deps, "acme", 10, "invoice-1"),
        lambda: submission.submit(deps, stored.id),
    ):
        with pytest.raises(Refused) as refused:
            ask()
        assert refused.value.code is Code.UNAVAILABLE


@pytest.mark.parametrize("offset_s", [float("nan"), float("inf"), -4e9])
def test_an_offset_that_is_no_time_cannot_be_kept(database, offset_s):
    with pytest.raises(IntegrityError), database.transaction() as connection:
        business_clock.set_offset(connection, offset_s)


def test_no_use_case_answers_by_asking_itself_again():
    """A use case is what is given `deps`: whom it asks may answer the same for ever."""
    root = Path(__file__).parents[2]
    again = {
        node.name
        for package in ("pricing", "storage", "worker")
        for path in (root / package).rglob("*.py")
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef)
        and "deps" in [argument.arg for argument in node.args.args]
        for call in ast.walk(node)
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Name)
        and call.func.id == node.name
    }
    assert again == set()
