"""The client that makes requests to other people's servers, behind `OutboundHttp`.

Where customers say to whom, they could name our own machines. So a name is resolved
once, each address it has must be public, and the connection is made to an address
that was looked at, never to the name again: a name that changes its mind in between
changes nothing. Redirects are not followed, a proxy named in the environment is not
used, and a request has one deadline for all that it waits for, its name included.

Who asks the same server again and again may have its connection kept: it is used for
another request while its name still has the addresses that it had, and no longer than
servers leave one open. One that was closed meanwhile is not written to.
"""

import contextlib
import ssl
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from threading import Lock
from typing import Any, NamedTuple

import httpcore
import httpx

from worker.infrastructure.clock import monotonic_s
from worker.infrastructure.errors import ForbiddenTarget, OutboundError
from worker.infrastructure.name_resolution import SHARED, Lookup, Resolver
from worker.infrastructure.outbound_http import Response
from worker.infrastructure.public_addresses import not_public_because

_PORTS = {"http": 80, "https": 443}
_PORT_MAX = 65_535
_LEAST_WAIT_S = 0.001
_KEPT_S = 2.0
_KEPT_MAX = 4
"""Connections that are kept of all."""
_ALL_WRITTEN = "http11.send_request_body.complete"


class Target(NamedTuple):
    """A URL taken apart, and the addresses that its host has."""

    url: httpx.URL
    port: int
    addresses: tuple[str, ...]


class OutboundClient:
    """Makes requests; `allow_private` lifts the guard on addresses, and no other."""

    def __init__(
        self,
        *,
        allow_private: bool = False,
        timeout_s: float = 10,
        response_bytes_max: int = 1 << 20,
        resolve: Lookup | None = None,
        tls: ssl.SSLContext | None = None,
        keeps_connections: bool = False,
    ) -> None:
        self._allow_private = allow_private
        self._timeout_s = timeout_s
        self._response_bytes_max = response_bytes_max
        self._resolver = SHARED if resolve is None else Resolver(resolve)
        self._given_tls = tls
        self._kept = _KeptLines() if keeps_connections else None

    def check(self, url: str) -> None:
        """Raise `ForbiddenTarget` where a URL leads to where nobody may be sent."""
        with contextlib.suppress(_NoAddress):
            self._target(url, _Deadline(self._timeout_s))

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes = b"",
    ) -> Response:
        """Ask, once, and read the whole answer."""
        deadline = _Deadline(self._timeout_s)
        target = self._target(url, deadline)
        progress = _Progress()
        given = {"Host": target.url.netloc.decode(), **(headers or {})}
        try:
            with (
                self._line(target, deadline) as pool,
                pool.stream(
                    method,
                    _url(target),
                    headers=[(k.encode(), v.encode()) for k, v in given.items()],
                    content=content,
                    extensions={"trace": progress.note},
                ) as response,
            ):
                return Response(
                    response.status,
                    {
                        k.decode("latin-1"): v.decode("latin-1")
                        for k, v in response.headers
                    },
                    self._body(response),
                    progress.sent,
                )
        except httpcore.TimeoutException as error:
            words = f"no answer within {self._timeout_s:g} s"
            raise OutboundError(words, sent=progress.sent) from error
        except (httpcore.NetworkError, httpcore.ProtocolError, OSError) as error:
            raise OutboundError(_words(error), sent=progress.sent) from error

    def close(self) -> None:
        """Close the connections that are kept."""
        if self._kept is not None:
            self._kept.close()

    @contextlib.contextmanager
    def _line(
        self, target: Target, deadline: "_Deadline"
    ) -> Iterator[httpcore.ConnectionPool]:
        """What connects to a target; kept for the next request, unless this one fails.

        An answer that was not read to its end leaves nothing to go on with.
        """
        url = target.url
        key = url.scheme, url.host, target.port, frozenset(target.addresses)
        line = self._kept.take(key) if self._kept else None
        if line is None:
            line = _Line(target.addresses, self._tls)
        line.deadline.at_s = deadline.at_s
        try:
            yield line.pool
        except BaseException:
            line.pool.close()
            raise
        if self._kept is None:
            line.pool.close()
        else:
            self._kept.give(key, line)

    def _body(self, response: httpcore.Response) -> bytes:
        body = bytearray()
        for piece in response.iter_stream():
            body += piece
            if len(body) > self._response_bytes_max:
                raise OutboundError(
                    f"the answer is larger than {self._response_bytes_max} bytes"
                )
        return bytes(body)

    def _target(self, url: str, deadline: "_Deadline") -> Target:
        parsed = _parse(url)
        port = parsed.port or _PORTS[parsed.scheme]
        try:
            addresses = self._resolver.resolve(
                parsed.raw_host.decode(), port, within_s=deadline.left_s(OSError)
            )
        except OSError as error:
            raise _NoAddress("the host's name has no address", sent=False) from error
        if not addresses:
            raise _NoAddress("the host's name has no address", sent=False)
        for address in addresses:
            kind = None if self._allow_private else not_public_because(address)
            if kind is not None:
                # Not the address: names inside our network are nobody's business.
                raise ForbiddenTarget(f"the host's address is {kind}")
        return Target(parsed, port, tuple(addresses))

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return self._given_tls or httpx.create_ssl_context()


class _NoAddress(OutboundError):
    """A name that leads nowhere."""


def _parse(url: str) -> httpx.URL:
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, UnicodeError) as error:
        raise ForbiddenTarget("it is not a URL") from error
    if parsed.scheme not in _PORTS:
        raise ForbiddenTarget("it must begin with http:// or https://")
    if not parsed.host:
        raise ForbiddenTarget("it names no host")
    if parsed.userinfo:
        raise ForbiddenTarget("it must not name a user or a password")
    if parsed.port is not None and not 0 < parsed.port <= _PORT_MAX:
        raise ForbiddenTarget("there is no such port")
    return parsed


def _url(target: Target) -> httpcore.URL:
    url = target.url
    return httpcore.URL(
        scheme=url.raw_scheme,
        host=url.raw_host,
        port=target.port,
        target=url.raw_path,
    )


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:200]


class _Progress:
    """Whether a request has been written in full."""

    def __init__(self) -> None:
        self.sent = False

    def note(self, event: str, info: Mapping[str, Any]) -> None:
        """What httpcore says of each of its steps."""
        del info
        self.sent = self.sent or event == _ALL_WRITTEN


class _Deadline:
    """One for all the waits of a request: a server that drips cannot hold a worker."""

    def __init__(self, timeout_s: float) -> None:
        self.at_s = monotonic_s() + timeout_s

    def left_s(self, timed_out: type[Exception]) -> float:
        left_s = self.at_s - monotonic_s()
        if left_s < _LEAST_WAIT_S:
            raise timed_out("the deadline has passed")
        return left_s


class _Pinned(httpcore.NetworkBackend):
    """Connects to the addresses that were looked at, whatever it is asked for."""

    def __init__(self, addresses: Sequence[str], deadline: _Deadline) -> None:
        self._addresses = addresses
        self._deadline = deadline
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,  # noqa: ARG002 - the name counts no more
        port: int,
        timeout: float | None = None,  # noqa: ARG002 - the deadline holds
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        refused: Exception = httpcore.ConnectError("no address")
        for address in self._addresses:
            try:
                stream = self._inner.connect_tcp(
                    address,
                    port,
                    timeout=self._deadline.left_s(httpcore.ConnectTimeout),
                    local_address=local_address,
                    socket_options=socket_options,
                )
            except httpcore.ConnectError as error:
                refused = error
            else:
                return _Bounded(stream, self._deadline)
        raise refused


class _Bounded(httpcore.NetworkStream):
    """A connection whose every wait ends at the request's deadline."""

    def __init__(self, inner: httpcore.NetworkStream, deadline: _Deadline) -> None:
        self._inner = inner
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002 - the deadline holds
        return self._inner.read(
            max_bytes, timeout=self._deadline.left_s(httpcore.ReadTimeout)
        )

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002 - the deadline holds
        self._inner.write(buffer, timeout=self._deadline.left_s(httpcore.WriteTimeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002 - the deadline holds
    ) -> httpcore.NetworkStream:
        inner = self._inner.start_tls(
            ssl_context,
            server_hostname,
            timeout=self._deadline.left_s(httpcore.ConnectTimeout),
        )
        return _Bounded(inner, self._deadline)

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401 - httpcore's own signature
        return self._inner.get_extra_info(info)


class _Line:
    """A way to some addresses: one connection, whose waits end at its deadline."""

    def __init__(self, addresses: Sequence[str], tls: ssl.SSLContext) -> None:
        self.deadline = _Deadline(0)
        self.pool = httpcore.ConnectionPool(
            ssl_context=tls,
            max_connections=1,
            keepalive_expiry=_KEPT_S,
            network_backend=_Pinned(addresses, self.deadline),
        )


class _KeptLines:
    """Lines that nobody uses just now, by where they lead to."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._idle: list[tuple[Hashable, _Line]] = []

    def take(self, key: Hashable) -> _Line | None:
        """The one that was used last, for the caller alone."""
        with self._lock:
            for place in reversed(range(len(self._idle))):
                if self._idle[place][0] == key:
                    return self._idle.pop(place)[1]
        return None

    def give(self, key: Hashable, line: _Line) -> None:
        """Keep one; of too many, the one that was used longest ago is closed."""
        with self._lock:
            self._idle.append((key, line))
            surplus = self._idle.pop(0)[1] if len(self._idle) > _KEPT_MAX else None
        if surplus is not None:
            surplus.pool.close()

    def close(self) -> None:
        """Close all that are kept."""
        with self._lock:
            idle, self._idle = self._idle, []
        for _, line in idle:
            line.pool.close()
