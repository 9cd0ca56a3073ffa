"""The live overview: what has changed goes to all who watch, rendered once for all."""

import asyncio
import json
import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from storage.database import Database
from storage.licenses import console_sessions
from storage.licenses.console_sessions import SessionOfKey
from worker.console.renderer import Renderer
from worker.console.sessions import WatchedSession
from worker.infrastructure.clock import Stopwatch, wall_s
from worker.operations.overview import LOOK_EVERY_S, OverviewLook, OverviewReport

log = logging.getLogger(__name__)

PARTS = ("figures", "jobs", "queues", "processes", "providers", "upkeep")
"""What a live overview is made of: a template each, in `templates/parts`."""

WATCHERS_MAX = 100
_COMMENT_EVERY_S = 15.0
SESSIONS_CHECKED_EVERY_S = 3.0
"""How long a stream outlives its session at most, and a look at the database more."""


class Watcher:
    """One who watches: told the newest of each part that has changed."""

    def __init__(self, session: WatchedSession) -> None:
        self.session = session
        self.is_gone = False
        self._parts: dict[str, str] = {}
        self._woken = asyncio.Event()

    def tell(self, parts: dict[str, str]) -> None:
        """Let it know; what it has not taken yet is replaced by what is newer."""
        self._parts |= parts
        self._woken.set()

    def let_go(self) -> None:
        """Let it end."""
        self.is_gone = True
        self._woken.set()

    async def take(self, within_s: float) -> dict[str, str]:
        """What has changed since it was asked last; nothing after so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._woken.wait()
        self._woken.clear()
        parts, self._parts = self._parts, {}
        return parts


class LiveOverview:
    """Looks once a second while anybody watches.

    Whose session has ended is let go: all sessions are looked up by one statement.
    """

    def __init__(
        self, look: OverviewLook, renderer: Renderer, database: Database
    ) -> None:
        self._look = look
        self._database = database
        self._checked = Stopwatch()
        self._renderer = renderer
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="overview")
        self._watchers: set[Watcher] = set()
        self._shown: dict[str, str] = {}
        self._task: asyncio.Task[None] | None = None

    def report(self) -> OverviewReport:
        """How everything stands, or stood less than a second ago."""
        return self._look.report()

    def forget(self) -> None:
        """Let whoever has just acted see what came of it."""
        self._look.forget()

    def rendered(self, report: OverviewReport) -> dict[str, str]:
        """The parts of the page, by name."""
        return {name: self._renderer.part(name, report=report) for name in PARTS}

    def watch(self, session: WatchedSession) -> Watcher:
        """Begin to watch. Raises `HTTPException` where too many do."""
        if len(self._watchers) >= WATCHERS_MAX:
            raise HTTPException(503, f"{WATCHERS_MAX} watch already")
        watcher = Watcher(session)
        watcher.tell(self._shown)
        self._watchers.add(watcher)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._look_until_alone())
        return watcher

    def leave(self, watcher: Watcher) -> None:
        """Watch no more."""
        self._watchers.discard(watcher)

    async def _look_until_alone(self) -> None:
        loop = asyncio.get_running_loop()
        while self._watchers:
            try:
                parts = await loop.run_in_executor(self._thread, self._parts)
            except SQLAlchemyError as error:
                log.warning("the overview cannot be looked at: %s", error)
                parts = self._shown
            except Exception:
                # Whoever watches must not wait for ever for what will not come.
                log.exception("the overview cannot be shown")
                parts = self._shown
            changed = {
                name: part
                for name, part in parts.items()
                if self._shown.get(name) != part
            }
            self._shown = parts
            if changed:
                for watcher in self._watchers:
                    watcher.tell(changed)
            if self._checked.elapsed_s >= SESSIONS_CHECKED_EVERY_S:
                await self._let_go_whose_session_has_ended()
                self._checked = Stopwatch()
            await asyncio.sleep(LOOK_EVERY_S)
        self._shown = {}

    async def _let_go_whose_session_has_ended(self) -> None:
        watchers, loop = list(self._watchers), asyncio.get_running_loop()
        asked = {watcher.session.asked for watcher in watchers}
        try:
            standing = await loop.run_in_executor(self._thread, self._standing, asked)
        except SQLAlchemyError as error:
            log.warning("sessions cannot be looked up: %s", error)
            # What has been revoked shows once the database is there; time goes on.
            standing = asked
        now_s = wall_s()
        for watcher in watchers:
            session = watcher.session
            if session.asked not in standing or session.ends_s <= now_s:
                watcher.let_go()

    def _standing(self, asked: set[SessionOfKey]) -> set[SessionOfKey]:
        with self._database.reading() as connection:
            return console_sessions.standing(connection, asked)

    def _parts(self) -> dict[str, str]:
        return self.rendered(self._look.report())

    def end(self) -> None:
        """Let all go: the process stops."""
        for watcher in self._watchers:
            watcher.let_go()

    def close(self) -> None:
        """Close what it looks by, once nobody watches any more."""
        if self._task is not None:
            self._task.cancel()
        self._thread.shutdown()
        self._look.close()


class OverviewStream(Response):
    """What changes, as server-sent events: `parts`, an object of HTML by name."""

    media_type = "text/event-stream"

    def __init__(self, live: LiveOverview, session: WatchedSession) -> None:
        super().__init__(headers={"Cache-Control": "no-store"})
        del self.headers["Content-Length"]
        self._live = live
        self._session = session

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - as ASGI has it
        """Send until it hangs up, its session ends, or the process stops."""
        watcher = self._live.watch(self._session)
        hang_up = asyncio.create_task(_hang_up(receive, watcher))
        try:
            await send(
                {
                    "type": "http.response.start",
                    "status": self.status_code,
                    "headers": self.raw_headers,
                }
            )
            while not watcher.is_gone:
                parts = await watcher.take(_COMMENT_EVERY_S)
                if not watcher.is_gone:
                    await _send(send, _event(parts))
            await send({"type": "http.response.body", "body": b""})
        finally:
            hang_up.cancel()
            self._live.leave(watcher)


def _event(parts: dict[str, str]) -> bytes:
    if not parts:
        return b": still here\n\n"
    return f"event: parts\ndata: {json.dumps(parts)}\n\n".encode()


async def _send(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})


async def _hang_up(receive: Receive, watcher: Watcher) -> None:
    with suppress(HTTPException):
        while (await receive())["type"] != "http.disconnect":
            pass
    watcher.let_go()
