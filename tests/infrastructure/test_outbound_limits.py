"""How much others may be asked: rates, pauses and the breaker, and a Redis that hangs.

Redis is `fakeredis` here, behind a socket of its own; `tests/system/test_rate_limit.py`
and the tests of providers and connections use a real one.
"""

import asyncio
import socket
import threading
import time
from collections.abc import Coroutine, Iterator
from contextlib import closing, contextmanager
from typing import TypeVar

import pytest
from fakeredis import TcpFakeServer
from limits import RateLimitItemPerMinute, RateLimitItemPerSecond

from worker.api.request_limits import RateLimit
from worker.infrastructure.errors import Refused
from worker.infrastructure.outbound_limits import redis_silence
from worker.infrastructure.outbound_limits.circuit_breaker import CircuitBreaker
from worker.infrastructure.outbound_limits.pauses import (
    DOWN,
    RATE_LIMITED,
    OwnPauses,
    Pause,
    Paused,
)
from worker.infrastructure.outbound_limits.rate_fills import fills_noted, fills_of
from worker.infrastructure.outbound_limits.rate_limiter import RateLimiter
from worker.infrastructure.outbound_limits.shared_counters import SharedCounters
from worker.infrastructure.settings import Settings

_T = TypeVar("_T")
_NAME = "vendor"


@pytest.fixture
def url() -> Iterator[str]:
    """A Redis that nobody else uses."""
    server = TcpFakeServer(("127.0.0.1", 0))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"redis://127.0.0.1:{server.server_address[1]}/0"
    server.shutdown()
    server.server_close()


@contextmanager
def _hung() -> Iterator[str]:
    """A Redis that takes connections and never answers."""
    with closing(socket.create_server(("127.0.0.1", 0), backlog=200)) as listening:
        yield f"redis://127.0.0.1:{listening.getsockname()[1]}/0"


_MADE: "list[_Worker]" = []


class _Worker:
    """What one process of several has."""

    def __init__(self, url: str, *rates, failures_max=3, rest_s=60.0, family="x"):
        self.counters = SharedCounters(url, family)
        self.breaker = CircuitBreaker(
            self.counters, failures_max=failures_max, rest_s=rest_s
        )
        self.limiter = RateLimiter(self.counters, self.breaker, {_NAME: rates})
        _MADE.append(self)

    async def enter(self) -> None:
        await self.limiter.enter(_NAME)

    async def pause(self) -> Pause | None:
        return await self.breaker.pause_of(_NAME)


def _run(work: Coroutine[object, object, _T]) -> _T:
    """What a coroutine comes to; the workers that it made leave nothing open."""

    async def closing_all() -> _T:
        try:
            return await work
        finally:
            while _MADE:
                await _MADE.pop().counters.close()

    return asyncio.run(closing_all())


async def _entered(worker: _Worker) -> bool:
    try:
        await worker.enter()
    except Paused:
        return False
    return True


# -- Rates ----------------------------------------------------------------------


def test_two_processes_together_are_let_through_as_often_as_the_rate_says(url):
    async def go() -> int:
        workers = [_Worker(url, RateLimitItemPerMinute(7)) for _ in range(2)]
        return sum([await _entered(workers[turn % 2]) for turn in range(12)])

    assert _run(go()) == 7


def test_a_rate_that_is_used_up_for_long_is_told_and_one_for_a_moment_waited_for(url):
    async def go() -> None:
        slow = _Worker(url, RateLimitItemPerMinute(1))
        await slow.enter()
        with pytest.raises(Paused) as paused:
            await slow.enter()
        assert paused.value.pause.reason == RATE_LIMITED
        assert 3 < paused.value.pause.left_s <= 60
        quick = _Worker(url, RateLimitItemPerSecond(2), family="y")
        began_s = time.monotonic()
        for _ in range(3):
            await quick.enter()
        assert 0.5 < time.monotonic() - began_s < 3

    _run(go())


def test_how_full_a_rate_is_can_be_seen_by_who_asks_nobody(url):
    rates = [RateLimitItemPerSecond(50, 30), RateLimitItemPerMinute(3)]
    nobody_asked = fills_of(url, "x", {_NAME: rates}) or {}

    async def go() -> None:
        worker = _Worker(url, *rates)
        for _ in range(3):
            await worker.enter()

    _run(go())
    wide, tight = (fills_of(url, "x", {_NAME: rates}) or {})[_NAME]
    assert [fill.left for fill in nobody_asked[_NAME]] == [50, 3]
    # Permits of a large rate are fetched some at a time.
    assert (wide.requests, wide.window_s, 44 <= wide.left <= 47) == (50, 30, True)
    assert (tight.requests, tight.window_s, tight.left) == (3, 60, 0)
    assert 50 < tight.free_in_s <= 60


def test_a_rate_that_workers_have_noted_is_seen_and_one_nobody_noted_is_not(url):
    async def go() -> None:
        worker = _Worker(url, RateLimitItemPerMinute(7))
        await worker.counters.remember(_NAME, "7/60")
        await worker.enter()

    _run(go())
    names = [_NAME, "another"]
    seen = fills_noted(url, "x", names, lambda _: [RateLimitItemPerMinute(7)])
    assert {name: fills[0].left for name, fills in (seen or {}).items()} == {_NAME: 6}


def test_a_redis_that_hangs_or_is_not_there_tells_nothing_of_rates():
    rates = {_NAME: [RateLimitItemPerMinute(3)]}
    with _hung() as hung:
        assert fills_of(hung, "x", rates) is None
    assert fills_of(None, "x", rates) is None


def test_the_tightest_of_several_rates_holds(url):
    async def go() -> int:
        worker = _Worker(url, RateLimitItemPerSecond(50), RateLimitItemPerMinute(3))
        return sum([await _entered(worker) for _ in range(6)])

    assert _run(go()) == 3


# -- Pauses ---------------------------------------------------------------------


def test_a_pause_is_known_to_all_and_a_shorter_one_does_not_end_it(url):
    async def go() -> None:
        one, other = _Worker(url), _Worker(url)
        assert await other.pause() is None
        await one.breaker.pause(_NAME, Pause("out_of_credits", 50))
        await one.breaker.pause(_NAME, Pause(DOWN, 5))
        await asyncio.sleep(0.25)
        found = await other.pause()
        assert found is not None
        assert (found.reason, 45 < found.left_s <= 50) == ("out_of_credits", True)
        with pytest.raises(Paused):
            await other.enter()

    _run(go())


def test_a_pause_of_a_moment_is_waited_for(url):
    async def go() -> float:
        worker = _Worker(url)
        await worker.breaker.pause(_NAME, Pause(RATE_LIMITED, 0.4))
        began_s = time.monotonic()
        await worker.enter()
        return time.monotonic() - began_s

    assert 0.3 < _run(go()) < 2


def test_pauses_of_one_process_keep_the_same_rules():
    async def go() -> None:
        pauses = OwnPauses()
        assert await pauses.of(_NAME) is None
        await pauses.set(_NAME, Pause(DOWN, 50))
        await pauses.set(_NAME, Pause(RATE_LIMITED, 5))
        found = await pauses.of(_NAME)
        assert found is not None
        assert (found.reason, found.left_s > 45) == (DOWN, True)
        await pauses.set(_NAME, Pause(RATE_LIMITED, 90))
        found = await pauses.of(_NAME)
        assert found is not None
        assert found.reason == RATE_LIMITED

    _run(go())


# -- The breaker ------------------------------------------------------------------


def test_who_fails_too_often_rests_for_all(url):
    async def go() -> None:
        one, other = _Worker(url, failures_max=3), _Worker(url, failures_max=3)
        await one.breaker.failed(_NAME)
        await other.breaker.failed(_NAME)
        assert await one.pause() is None
        await one.breaker.failed(_NAME)
        found = await one.pause()
        assert found is not None
        assert (found.reason, found.left_s > 55) == (DOWN, True)

    _run(go())


def test_the_first_failure_after_a_rest_begins_the_next(url):
    async def go() -> None:
        worker = _Worker(url, failures_max=2, rest_s=0.2)
        for _ in range(2):
            await worker.breaker.failed(_NAME)
        assert await worker.pause() is not None
        await asyncio.sleep(0.45)
        assert await worker.pause() is None
        await worker.breaker.failed(_NAME)
        assert await worker.pause() is not None

    _run(go())


def test_a_success_ends_the_count(url):
    async def go() -> None:
        worker = _Worker(url, failures_max=2)
        for _ in range(4):
            await worker.breaker.failed(_NAME)
            await worker.breaker.succeeded(_NAME)
        assert await worker.pause() is None

    _run(go())


def test_a_failure_that_names_its_end_pauses_until_then(url):
    async def go() -> None:
        worker = _Worker(url)
        await worker.breaker.failed(_NAME, 20)
        found = await worker.pause()
        assert found is not None
        assert 15 < found.left_s <= 20

    _run(go())


# -- A Redis that hangs -------------------------------------------------------------


def _took_s(url: str, requests: int, at_once: int, family: str = "x") -> float:
    async def go() -> None:
        worker = _Worker(url, RateLimitItemPerSecond(1000), family=family)
        left = iter(range(requests))

        async def one() -> None:
            for _ in left:
                await worker.enter()

        await asyncio.gather(*[one() for _ in range(at_once)])
        await worker.counters.remember(_NAME, "something")
        assert await worker.counters.recall(_NAME) is None

    began_s = time.monotonic()
    _run(go())
    return time.monotonic() - began_s


def test_a_redis_that_hangs_costs_a_process_one_wait_and_not_each_request():
    with _hung() as url:
        assert _took_s(url, 12, 6) < 2
        # Whoever else uses it knows already.
        assert _took_s(url, 12, 6, family="y") < 0.5
        limit = RateLimit(Settings(redis_url=url, rate_a_minute=3))
        began_s = time.monotonic()
        for _ in range(3):
            limit.count("key")
        with pytest.raises(Refused):
            limit.count("key")
        assert time.monotonic() - began_s < 0.5


def test_requests_are_counted_without_a_redis_that_hangs():
    with _hung() as url:
        limit = RateLimit(Settings(redis_url=url, rate_a_minute=2))
        began_s = time.monotonic()
        for _ in range(2):
            limit.count("key")
        with pytest.raises(Refused):
            limit.count("key")
        assert time.monotonic() - began_s < 2


def test_a_redis_that_answers_again_is_asked_again_by_one_first(monkeypatch):
    monkeypatch.setattr(redis_silence, "_REST_S", 0.05)
    silence = redis_silence.RedisSilence()
    assert not silence.lasts()
    silence.start()
    assert silence.lasts()
    time.sleep(0.1)
    assert [silence.lasts(), silence.lasts()] == [False, True]
    silence.end()
    assert not silence.lasts()
