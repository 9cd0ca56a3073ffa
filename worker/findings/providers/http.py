"""HTTP for providers: one session for a process, its connections kept alive.

The addresses are our own settings, so the guard on customers' addresses has
nothing to do here. Measured against one another, aiohttp keeps a hundred look-ups under
way at a fifth of a core.
"""

import json
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from worker.findings.providers.errors import InDoubt, Unavailable

_CONNECTIONS_MAX = 100
_CONNECT_S = 10.0
"""For a free connection, or a new one; nothing has been sent until then."""
_BODY_MAX = 16 << 20
_SERVER_ERROR = 500
_RETRY_MAX_S = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Reply:
    """What a vendor has answered; `json` is None where there was no body."""

    status: int
    headers: Mapping[str, str]
    json: Any


Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""All addresses that a name has, in bounded time. Raises `OSError`."""


class _Resolver(AbstractResolver):
    """Asks whom it was handed: aiohttp's own waits in threads that all share."""

    def __init__(self, resolve: Resolve) -> None:
        self._resolve = resolve

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_INET,
    ) -> list[ResolveResult]:
        """All addresses of a name, in aiohttp's words."""
        del family
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in await self._resolve(host, port)
        ]

    async def close(self) -> None:
        """Nothing is open."""


class Http:
    """Makes requests within `timeout_s` each; close it in the loop that used it."""

    def __init__(
        self,
        *,
        timeout_s: float = 30,
        connections_max: int = _CONNECTIONS_MAX,
        resolve: Resolve | None = None,
    ) -> None:
        self._resolve = resolve
        self._timeout = aiohttp.ClientTimeout(
            total=timeout_s, connect=min(_CONNECT_S, timeout_s / 2)
        )
        self._connections_max = connections_max
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    async def get(
        self, url: str, headers: Mapping[str, str], params: Mapping[str, str]
    ) -> Reply:
        """Ask. Raises `Unavailable`: nothing that was asked so is in doubt."""
        return await self._ask("GET", url, headers=headers, params=params)

    async def post(self, url: str, headers: Mapping[str, str], body: object) -> Reply:
        """Ask with a body, where asking again does no harm. Raises `Unavailable`."""
        return await self._ask("POST", url, headers=headers, json=body)

    async def submit(self, url: str, headers: Mapping[str, str], body: object) -> Reply:
        """Ask for something to be done.

        Raises `Unavailable` only where nothing can have arrived, else `InDoubt`.
        """
        try:
            reply = await self._send("POST", url, headers=headers, json=body)
        except (
            aiohttp.ClientConnectorError,
            aiohttp.ConnectionTimeoutError,
        ) as error:
            raise Unavailable(repr(error)) from error
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise InDoubt(repr(error)) from error
        if reply.status >= _SERVER_ERROR:
            raise InDoubt(f"answered with {reply.status}")
        return reply

    async def _ask(self, method: str, url: str, **request: Any) -> Reply:  # noqa: ANN401 - aiohttp's options
        try:
            reply = await self._send(method, url, **request)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise Unavailable(repr(error)) from error
        if reply.status >= _SERVER_ERROR:
            raise Unavailable(f"answered with {reply.status}", retry_after_s(reply))
        return reply

    async def _send(self, method: str, url: str, **request: Any) -> Reply:  # noqa: ANN401 - aiohttp's options
        async with self._opened().request(
            method, url, allow_redirects=False, **request
        ) as response:
            body = await _body(response)
            # What a gateway says in HTML is told by its status alone.
            broken = response.status >= _SERVER_ERROR
            return Reply(
                response.status,
                response.headers,
                json.loads(body) if body and not broken else None,
            )

    def _opened(self) -> aiohttp.ClientSession:
        # Made when it is first needed: a session belongs to the loop it is made in.
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=self._timeout,
                connector=aiohttp.TCPConnector(
                    limit=self._connections_max,
                    resolver=_Resolver(self._resolve) if self._resolve else None,
                ),
            )
        return self._session


async def _body(response: aiohttp.ClientResponse) -> bytes:
    """All of an answer, however many packets it comes in."""
    parts: list[bytes] = []
    left = _BODY_MAX
    async for part in response.content.iter_any():
        left -= len(part)
        if left < 0:
            raise ValueError(f"answered with more than {_BODY_MAX} bytes")
        parts.append(part)
    return b"".join(parts)


def retry_after_s(reply: Reply) -> float | None:
    """The seconds that a Retry-After names, where it does; at most a day."""
    text = reply.headers.get("Retry-After", "")
    return min(float(text), _RETRY_MAX_S) if text.isdecimal() else None
