"""The one client that all connectors ask with: it keeps the limits of a connection.

Addresses are the customers' own words, so they are guarded as those of webhooks are.
Before each request `beat` is called: whoever works holds on to its chunk, or learns
that it is somebody else's.
"""

import json
from collections.abc import Callable, Mapping

from worker.connectors import Limit, Reply
from worker.connectors.errors import Misconfigured, Throttled, Unavailable
from worker.errors import ForbiddenTarget, OutboundError
from worker.limiting import Paused
from worker.outbound import Outbound
from worker.throttling import DAILY_LIMIT, Throttle

FORBIDDEN_TARGET = "forbidden_target"


class CrmHttp:
    """Asks one connection's CRM."""

    def __init__(
        self,
        outbound: Outbound,
        throttle: Throttle,
        connection_id: str,
        beat: Callable[[], None],
    ) -> None:
        self._outbound = outbound
        self._throttle = throttle
        self._connection_id = connection_id
        self._beat = beat

    def ask(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: object = None,
    ) -> Reply:
        """Ask once; a body is sent as JSON. Whatever the status, it is an answer.

        Raises `Unavailable` where none came, `Throttled` where the connection rests.
        """
        self._beat()
        try:
            self._throttle.enter(self._connection_id)
        except Paused as paused:
            reason, left_s = paused.pause
            raise Throttled(
                str(paused), left_s, daily=reason == DAILY_LIMIT
            ) from paused
        given = {"Accept": "application/json", "User-Agent": "Holdfast", **headers}
        content = b""
        if body is not None:
            given["Content-Type"] = "application/json"
            content = json.dumps(body).encode()
        try:
            response = self._outbound.request(
                method, url, headers=given, content=content
            )
        except ForbiddenTarget as error:
            raise Misconfigured(FORBIDDEN_TARGET, str(error)) from error
        except OutboundError as error:
            raise Unavailable(str(error)) from error
        return Reply(
            response.status,
            {name.lower(): value for name, value in response.headers.items()},
            _json(response.body),
        )

    def notice(self, limit: Limit) -> None:
        """Keep to what the CRM's headers have said of its limit."""
        self._throttle.notice(self._connection_id, limit)


def _json(body: bytes) -> object:
    try:
        return json.loads(body) if body else None
    except ValueError:
        return None
