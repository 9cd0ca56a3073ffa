"""How long the API's server waits for a client: for a request, its body, its reading.

Uvicorn lets whoever has connected take all the time in the world. A client that sends
nothing, or a byte now and then, would hold a connection for ever, and one in the middle
of a body a thread as well. What is our own slowness, a full buffer, does not count.
"""

import asyncio
import json
from typing import ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from worker.infrastructure.errors import Code

_STATUS = 408
_BODY = json.dumps(
    {
        "type": "about:blank",
        "title": "Request Timeout",
        "status": _STATUS,
        "code": Code.INVALID_REQUEST.value,
        "detail": "the request did not come in time",
    }
).encode()
_ANSWER = (
    b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n"
    b"Content-Type: application/problem+json\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(_BODY), _BODY)
)


class BoundedProtocol(H11Protocol):
    """Uvicorn's own, which ends connections that wait for their client too long."""

    head_s: ClassVar[float] = 15
    """From a connection, or the first byte of a request, to the end of its headers."""
    body_s: ClassVar[float] = 30
    """For a body, and a second more for each so many bytes of it."""
    bytes_a_second: ClassVar[int] = 500
    unread_s: ClassVar[float] = 60
    """A client that waits for an answer must have read some of it by then."""
    look_s: ClassVar[float] = 1

    _waits_for: object = None
    _waited_s = 0.0
    _came = 0
    _look: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._mind()

    def data_received(self, data: bytes) -> None:
        """Take what came, and wait for the rest."""
        self._came += len(data)
        super().data_received(data)
        self._mind()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more."""
        for timer in (self._look, self._unread):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Begin to wait for the client to read."""
        super().pause_writing()
        self._mind_reading()

    def resume_writing(self) -> None:
        """Go on: the client has read."""
        if self._unread is not None:
            self._unread.cancel()
        super().resume_writing()

    def _mind(self) -> None:
        """Look soon again where the client is to send something, and count anew."""
        state = self.conn.their_state
        awaited = state if state in {h11.IDLE, h11.SEND_BODY} else None
        if awaited is not self._waits_for:
            self._waits_for, self._waited_s, self._came = awaited, 0.0, 0
        if awaited is not None and self._look is None:
            self._look = self.loop.call_later(self.look_s, self._look_again)

    def _look_again(self) -> None:
        self._look = None
        if self.transport.is_closing():
            return
        # Between two requests uvicorn's own bound holds.
        if not self.flow.read_paused and self.timeout_keep_alive_task is None:
            self._waited_s += self.look_s
        if self._waited_s > self._allowed_s():
            self._give_up()
        else:
            self._mind()

    def _allowed_s(self) -> float:
        if self._waits_for is h11.SEND_BODY:
            return self.body_s + self._came / self.bytes_a_second
        return self.head_s

    def _give_up(self) -> None:
        # Not into the middle of an answer that began before its body had come.
        if self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            self.transport.write(_ANSWER)
        self.transport.close()

    def _mind_reading(self) -> None:
        size = self.transport.get_write_buffer_size()
        self._unread = self.loop.call_later(self.unread_s, self._end_unread, size)

    def _end_unread(self, size_before: int) -> None:
        if self.transport.get_write_buffer_size() >= size_before:
            self.transport.abort()
        else:
            self._mind_reading()
