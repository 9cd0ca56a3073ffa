"""The console, made when somebody first opens it: a process that shows none is lean."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from anyio import Lock
from starlette.concurrency import run_in_threadpool
from starlette.types import Receive, Scope, Send

from worker.wiring import Wired

if TYPE_CHECKING:
    from starlette.applications import Starlette

PATH = "/console"
"""Where the console is."""


class ConsoleMount:
    """The console as an ASGI application."""

    def __init__(self, deps: Wired, count: Callable[[str], None]) -> None:
        self._deps = deps
        self._count = count
        self._console: Starlette | None = None
        self._lock = Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if self._console is None:
            async with self._lock:
                if self._console is None:
                    self._console = await run_in_threadpool(self._made)
        await self._console(scope, receive, send)

    def _made(self) -> "Starlette":
        from worker.console.console import make_console  # noqa: PLC0415 - 9 MB that few processes need

        return make_console(self._deps, self._count)

    def end(self) -> None:
        """Let those go who watch: the process stops."""
        if self._console is not None:
            self._console.state.live.end()

    def close(self) -> None:
        """Close what it holds, once nobody watches any more."""
        if self._console is not None:
            self._console.state.live.close()
