"""A proxy before a server: it can be frozen, cut off, or gone for a while."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

_BYTES_AT_ONCE = 1 << 16

Dial = Callable[[], Any]
"""Opens a connection to the server: a coroutine of asyncio's reader and writer."""


def to_port(host: str, port: int) -> Dial:
    """To a server at an address."""
    return lambda: asyncio.open_connection(host, port)


def to_socket(path: str) -> Dial:
    """To a server at a Unix socket."""
    return lambda: asyncio.open_unix_connection(path)


class TcpProxy:
    """Passes bytes on, in a loop of its own, on a port that stays the same."""

    def __init__(self, dial: Dial) -> None:
        self._dial = dial
        self._open: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._thawed = asyncio.Event()
        self._thawed.set()
        self._server: asyncio.Server
        self.port = 0
        self._call(self._listen())

    def _call(self, coroutine: Any) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._pass_on, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _pass_on(
        self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter
    ) -> None:
        self._open.add(to_client)
        try:
            await self._thawed.wait()
            server, to_server = await self._dial()
            self._open.add(to_server)
            await asyncio.gather(
                self._pump(client, to_server), self._pump(server, to_client)
            )
        except OSError:
            pass
        finally:
            self._close(to_client)

    async def _pump(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter
    ) -> None:
        try:
            while data := await source.read(_BYTES_AT_ONCE):
                await self._thawed.wait()
                target.write(data)
                await target.drain()
        except OSError:
            pass
        finally:
            self._close(target)

    def _close(self, writer: asyncio.StreamWriter) -> None:
        self._open.discard(writer)
        writer.close()

    def freeze(self) -> None:
        """Take connections and bytes, and pass nothing on."""
        self._loop.call_soon_threadsafe(self._thawed.clear)

    def thaw(self) -> None:
        """Go on, with what was held back."""
        self._loop.call_soon_threadsafe(self._thawed.set)

    def cut(self) -> None:
        """End all connections at once, without a word."""
        self._call(self._cut())

    async def _cut(self) -> None:
        for writer in list(self._open):
            writer.transport.abort()
        self._open.clear()

    def leave(self) -> None:
        """Be gone: end all connections and refuse new ones."""
        self._call(self._leave())

    async def _leave(self) -> None:
        self._server.close()
        await self._cut()

    def come_back(self) -> None:
        """Listen again, on the same port."""
        self._call(self._listen())

    def close(self) -> None:
        """Stop it."""
        self._call(self._leave())
        self._call(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
