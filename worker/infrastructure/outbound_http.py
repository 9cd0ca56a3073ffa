"""The one way to make requests to other people's servers.

What makes them is loaded with the first one: an HTTP client is 5 MB, and most processes
ask nobody.
"""

import ssl
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from worker.infrastructure.name_resolution import Lookup

if TYPE_CHECKING:
    from worker.infrastructure.outbound_client import OutboundClient


class Response(NamedTuple):
    """What a server has answered; 3xx is an answer like any other.

    `sent` says that the request was written in full before that.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    sent: bool = True


class OutboundHttp:
    """Makes requests; `allow_private` lifts the guard on addresses, and no other.

    One that `keeps_connections` leaves them open for a moment, for the next request.
    """

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
        self._resolve = resolve
        self._tls = tls
        self._keeps_connections = keeps_connections

    def check(self, url: str) -> None:
        """Raise `ForbiddenTarget` where a URL leads to where nobody may be sent.

        A name that has no address yet passes: it is looked at again at each request.
        """
        self._client.check(url)

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes = b"",
    ) -> Response:
        """Ask, once, and read the whole answer.

        Raises `ForbiddenTarget`, and `OutboundError` where no answer came in time or
        it was too large. No transaction may be open meanwhile.
        """
        return self._client.request(method, url, headers=headers, content=content)

    def close(self) -> None:
        """Close the connections that are kept."""
        if "_client" in self.__dict__:
            self._client.close()

    @cached_property
    def _client(self) -> "OutboundClient":
        from worker.infrastructure.outbound_client import OutboundClient  # noqa: PLC0415 - with the first request

        return OutboundClient(
            allow_private=self._allow_private,
            timeout_s=self._timeout_s,
            response_bytes_max=self._response_bytes_max,
            resolve=self._resolve,
            tls=self._tls,
            keeps_connections=self._keeps_connections,
        )
