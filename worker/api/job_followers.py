"""Followers of jobs: one look a second for all of them, whichever job they follow.

A follower holds its connection and a place in a set, but no thread, no connection to
the database and no queue: it is told the newest state when it can take it. So one that
does not read costs no more than one that does, and a thousand no more looks than one.
"""

import asyncio
import json
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime

from fastapi.responses import Response
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from storage.jobs import job_reports
from storage.jobs.job_reports import JobReport
from storage.licenses import licenses
from storage.state_machine import ENDED
from worker.infrastructure.clock import Stopwatch
from worker.infrastructure.dependencies import connect
from worker.infrastructure.errors import Code, Refused
from worker.infrastructure.settings import Settings
from worker.responses.response import Answer

log = logging.getLogger(__name__)

_LOOK_EVERY_S = 1.0
_GATHER_S = 0.05
"""For so long those who come are waited for: they are looked for together."""
_COMMENT_EVERY_S = 15.0
_AT_ONCE = 20
_PAUSE_S = 0.005
"""Between so many followers that are told: other requests are answered meanwhile."""
_TRY_AGAIN_S = 30

Describe = Callable[[JobReport, datetime], Answer]
"""A job, at an instant, as those are told of it whose request had the same base."""


@dataclass(slots=True, eq=False)
class Follower:
    """One who follows a job."""

    job: "_Followed"
    gone: bool = False
    """Whether it has hung up, or is to go because the process stops."""
    _woken: asyncio.Event = field(default_factory=asyncio.Event)

    def wake(self, *, gone: bool = False) -> None:
        """Let it look at its job, or go."""
        self.gone = self.gone or gone
        self._woken.set()

    async def rest(self, within_s: float) -> None:
        """Wait to be woken, at most so long."""
        self._woken.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._woken.wait()


@dataclass(slots=True, eq=False)
class _Followed:
    """A job that is followed, and its newest state."""

    state: "_State | None" = None
    followers: set[Follower] = field(default_factory=set)

    @property
    def mark(self) -> str | None:
        """What tells its newest state from the next one."""
        return None if self.state is None else self.state.mark


@dataclass(slots=True, eq=False)
class _State:
    """What there is to say of a job, once for all who are told it alike."""

    report: JobReport
    mark: str
    seen_at: datetime
    _events: dict[str, bytes] = field(default_factory=dict)

    @property
    def is_last(self) -> bool:
        return self.report.state in ENDED

    def event(self, base_url: str, describe: Describe) -> bytes:
        if base_url not in self._events:
            data = json.dumps(describe(self.report, self.seen_at))
            self._events[base_url] = f"event: job\ndata: {data}\n\n".encode()
        return self._events[base_url]


class JobFollowers:
    """All followers of one process; to be used inside its event loop."""

    def __init__(self, settings: Settings) -> None:
        self._max = settings.followers_max
        self._key_max = settings.followers_key_max
        self._database = connect(settings, pool=1)
        # Apart from the threads that answer: a slow look holds up nobody's request.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="followers")
        self._jobs: dict[str, _Followed] = {}
        self._by_key: Counter[str] = Counter()
        self._came = asyncio.Event()
        self._watch: asyncio.Task[None] | None = None

    @contextmanager
    def following(self, job_id: str, key_id: str) -> Iterator[Follower]:
        """Follow a job as long as the block. Raises `Refused` above the limits."""
        self._check(key_id)
        followed = self._jobs.setdefault(job_id, _Followed())
        follower = Follower(followed)
        followed.followers.add(follower)
        self._by_key[key_id] += 1
        self._came.set()
        if self._watch is None or self._watch.done():
            self._watch = asyncio.create_task(self._look_until_alone())
        try:
            yield follower
        finally:
            followed.followers.discard(follower)
            if not followed.followers:
                del self._jobs[job_id]
            self._by_key[key_id] -= 1
            if not self._by_key[key_id]:
                del self._by_key[key_id]

    def _check(self, key_id: str) -> None:
        if self._by_key[key_id] >= self._key_max:
            detail = f"this key may follow {self._key_max} jobs at once"
        elif self._by_key.total() >= self._max:
            detail = f"this server lets {self._max} follow at once"
        else:
            return
        raise Refused(Code.RATE_LIMITED, detail, retry_after_s=_TRY_AGAIN_S)

    def end(self) -> None:
        """Let all go: the process stops, and they may come back to another one."""
        for followed in self._jobs.values():
            for follower in followed.followers:
                follower.wake(gone=True)

    def close(self) -> None:
        """Let go of thread and database, once nobody follows any more."""
        if self._watch is not None:
            self._watch.cancel()
        self._thread.shutdown()
        self._database.close()

    async def _look_until_alone(self) -> None:
        since: Stopwatch | None = None
        while self._jobs:
            whole = since is None or since.elapsed_s >= _LOOK_EVERY_S
            since = Stopwatch() if since is None or whole else since
            known = {
                job_id: followed.mark
                for job_id, followed in self._jobs.items()
                if whole or followed.mark is None
            }
            self._came.clear()
            await self._look(known)
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0, _LOOK_EVERY_S - since.elapsed_s)):
                    await self._came.wait()
            await asyncio.sleep(_GATHER_S)

    async def _look(self, known: Mapping[str, str | None]) -> None:
        """Look at these jobs, and wake those who follow one that has changed."""
        if not known:
            return
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(self._thread, self._changed, known)
        except SQLAlchemyError as error:
            log.warning("jobs that are followed cannot be looked at: %s", error)
            await asyncio.sleep(_LOOK_EVERY_S)
            return
        told: list[Follower] = []
        for state in found:
            followed = self._jobs.get(state.report.id)
            if followed is not None:
                followed.state = state
                told += followed.followers
        for first in range(0, len(told), _AT_ONCE):
            for follower in told[first : first + _AT_ONCE]:
                follower.wake()
            await asyncio.sleep(_PAUSE_S)

    def _changed(self, known: Mapping[str, str | None]) -> list[_State]:
        with self._database.transaction() as connection:
            found = job_reports.changed(connection, known)
            now = licenses.business_now(connection) if found else None
        return [_State(report, mark, now) for report, mark in found if now]


class EventStream(Response):
    """A job's states as server-sent events, until the last one."""

    media_type = "text/event-stream"

    def __init__(
        self,
        followers: JobFollowers,
        job_id: str,
        key_id: str,
        *,
        base_url: str,
        describe: Describe,
    ) -> None:
        super().__init__(headers={"Cache-Control": "no-store"})
        del self.headers["Content-Length"]
        self._followers = followers
        self._job_id, self._key_id = job_id, key_id
        self._base_url, self._describe = base_url, describe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - as ASGI has it
        """Send events. Raises `Refused` where nobody more may follow."""
        with self._followers.following(self._job_id, self._key_id) as follower:
            hang_up = asyncio.create_task(_hang_up(receive, follower))
            try:
                await send(
                    {
                        "type": "http.response.start",
                        "status": self.status_code,
                        "headers": self.raw_headers,
                    }
                )
                await self._tell(follower, send)
                await send({"type": "http.response.body", "body": b""})
            finally:
                hang_up.cancel()

    async def _tell(self, follower: Follower, send: Send) -> None:
        """Tell each state that it can take, at most one a second."""
        last: _State | None = None
        told, quiet = Stopwatch(), Stopwatch()
        while not follower.gone:
            state, waits_s = follower.job.state, _COMMENT_EVERY_S - quiet.elapsed_s
            if state is not None and state is not last:
                left_s = _LOOK_EVERY_S - told.elapsed_s if last else 0
                if left_s <= 0:
                    await _send(send, state.event(self._base_url, self._describe))
                    last, told = state, Stopwatch()
                    if state.is_last:
                        return
                    continue
                waits_s = min(waits_s, left_s)
            if waits_s <= 0:
                await _send(send, b": still here\n\n")
                quiet = Stopwatch()
            else:
                await follower.rest(waits_s)


async def _send(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})


async def _hang_up(receive: Receive, follower: Follower) -> None:
    """Let a follower go that hangs up, or sends more than a request may hold."""
    try:
        while (await receive())["type"] != "http.disconnect":
            pass
    except HTTPException as error:
        log.info("a follower is let go: %s", error.detail)
    finally:
        follower.wake(gone=True)
