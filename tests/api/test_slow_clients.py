"""A client that lets the server wait does not hold its connection for ever."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress

import pytest
import uvicorn

from tests.support.fleet import until
from worker.api.http_protocol import BoundedProtocol


class _Quick(BoundedProtocol):
    head_s = 0.4
    body_s = 0.4
    bytes_a_second = 300
    unread_s = 0.4
    look_s = 0.1


async def _app(scope, receive, send) -> None:
    """Reads a body to its end, and answers a lot."""
    if scope["type"] != "http":
        return
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size, more = size + len(message["body"]), message["more_body"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    body = b"x" * 30_000_000 if scope["path"] == "/large" else str(size).encode()
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
def server() -> Iterator[uvicorn.Server]:
    config = uvicorn.Config(
        _app, port=0, log_level="warning", http=_Quick, lifespan="off"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until(lambda: server.started)
    yield server
    server.should_exit = True
    thread.join()


def _connect(server: uvicorn.Server) -> socket.socket:
    address = server.servers[0].sockets[0].getsockname()
    return socket.create_connection(address, timeout=10)


_HEAD = b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 3000\r\n"

_HALVES = [
    b"",
    b"POST / HT",
    _HEAD,
    _HEAD + b"\r\n",
    _HEAD + b"\r\nhalf",
    _HEAD + b"Expect: 100-continue\r\n\r\n",
]


@pytest.mark.parametrize("half", _HALVES)
def test_half_a_request_is_answered_and_its_connection_closed(server, half):
    with closing(_connect(server)) as client:
        client.sendall(half)
        answer = b""
        while piece := client.recv(4096):
            answer += piece
    assert b"HTTP/1.1 408 " in answer
    assert b"application/problem+json" in answer
    until(lambda: not server.server_state.connections)


def test_a_hundred_and_sixty_half_requests_leave_nothing_behind(server):
    clients = [_connect(server) for _ in range(160)]
    for number, client in enumerate(clients):
        client.sendall(_HALVES[number % len(_HALVES)])
    until(lambda: not server.server_state.connections, within_s=20)
    for client in clients:
        client.close()


def _drip(client: socket.socket, data: bytes, size: int, pause_s: float) -> bytes:
    for start in range(0, len(data), size):
        client.sendall(data[start : start + size])
        time.sleep(pause_s)
    return client.recv(4096)


def test_a_byte_now_and_then_is_not_enough(server):
    with closing(_connect(server)) as client, suppress(OSError):
        answer = _drip(client, _HEAD + b"\r\n" + b"x" * 3000, 1, 0.05)
        assert b"408" in answer
    until(lambda: not server.server_state.connections)


def test_a_slow_line_that_keeps_sending_is_waited_for(server):
    with closing(_connect(server)) as client:
        client.sendall(_HEAD + b"\r\n")
        answer = _drip(client, b"x" * 3000, 300, 0.1)
    assert b"200 OK" in answer
    assert b"\r\n3000\r\n" in answer


def test_who_does_not_read_the_answer_is_left(server):
    with closing(_connect(server)) as client:
        client.sendall(b"GET /large HTTP/1.1\r\nHost: here\r\n\r\n")
        until(lambda: server.server_state.connections)
        until(lambda: not server.server_state.connections, within_s=20)
