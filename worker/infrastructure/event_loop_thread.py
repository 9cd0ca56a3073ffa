"""An event loop in a thread of its own, for requests that run beside each other.

A process starts it when it is first needed, so after the fork. What must be in the
loop runs there as a coroutine; whoever calls waits, and holds no transaction meanwhile.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

_T = TypeVar("_T")

_GATHER_S = 0.1
"""To keep each result by itself would cost more than to come by it."""

Emit = Callable[[_T], None]
"""Hands one result over, from inside the loop."""


class EventLoopThread:
    """Runs coroutines, beside the thread that wants what they come to."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        """What a coroutine comes to; cancelled where the caller is interrupted."""
        future = asyncio.run_coroutine_threadsafe(work, self._started())
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def stream(
        self, work: Callable[[Emit[_T]], Awaitable[None]], *, every_s: float
    ) -> Iterator[list[_T]]:
        """What a coroutine emits, in lists: at least each `every_s`, be it empty.

        Ends with the coroutine, and raises what that raised. It is cancelled where the
        caller goes no further.
        """
        results: SimpleQueue[_T | None] = SimpleQueue()
        all_there = threading.Event()

        async def emitting() -> None:
            try:
                await work(results.put)
            finally:
                results.put(None)
                all_there.set()

        future = asyncio.run_coroutine_threadsafe(emitting(), self._started())
        try:
            ended = False
            while not ended:
                some = _some_of(results, all_there, every_s)
                ended = None in some
                yield [result for result in some if result is not None]
            future.result()
        finally:
            future.cancel()

    def close(self) -> None:
        """Stop the loop, if it was started."""
        with self._lock:
            if self._loop is None or self._thread is None:
                return
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(timeout=10)
            self._loop.close()
            self._loop = self._thread = None

    def _started(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=self._loop.run_forever, name="lookups", daemon=True
                )
                self._thread.start()
            return self._loop


def _some_of(
    results: "SimpleQueue[_T | None]", all_there: threading.Event, wait_s: float
) -> list[_T | None]:
    """Whatever comes first, and what comes soon after it, up to the end."""
    try:
        some = [results.get(timeout=wait_s)]
    except Empty:
        return []
    all_there.wait(_GATHER_S)
    some += [results.get_nowait() for _ in range(results.qsize())]
    return some
