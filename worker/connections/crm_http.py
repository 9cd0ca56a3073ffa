"""The one client that all connectors ask with: it keeps the limits of a connection.

Addresses are the customers' own words, so they are guarded as those of webhooks are.
Before each request `beat` is called: whoever works holds on to its chunk, or learns
that it is somebody else's; and just before it is sent `hold_on`, for held keys.
"""

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from worker.connections.connectors.connector import Content, Limit, Reply
from worker.connections.connectors.errors import Misconfigured, Throttled, Unavailable
from worker.connections.token_refresh import Tokens
from worker.infrastructure.errors import ForbiddenTarget, OutboundError
from worker.infrastructure.outbound_http import OutboundHttp
from worker.infrastructure.outbound_limits.pauses import DAILY_LIMIT, Paused

if TYPE_CHECKING:
    from worker.connections.connection_limits import ConnectionLimits

_UNAUTHORIZED = 401
_NOT_DONE = frozenset({_UNAUTHORIZED, 403, 429})
"""Statuses that say of all of a request that nothing of it was done."""
FORBIDDEN_TARGET = "forbidden_target"


class CrmHttp:
    """Asks one connection's CRM."""

    def __init__(
        self,
        outbound: OutboundHttp,
        limits: "ConnectionLimits",
        connection_id: str,
        tokens: Tokens,
        *,
        beat: Callable[[], None],
        hold_on: Callable[[], None],
        discloses: bool,
    ) -> None:
        self._outbound = outbound
        self._limits = limits
        self._connection_id = connection_id
        self._tokens = tokens
        self._beat = beat
        self._hold_on = hold_on
        self._discloses = discloses
        self.may_have_written = False
        """Whether anything was sent, since this was last said to be false, that the CRM
        may have done."""

    def ask(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: object = None,
        lane: str = "",
        undoes: bool = False,
    ) -> Reply:
        """Ask as `Http` says; once more, with a new token, where one was not taken."""
        token = self._tokens.current()
        self._enter(lane, undoes=undoes)
        reply = self._ask(method, url, headers, body, token)
        if reply.status != _UNAUTHORIZED or token is None:
            return reply
        renewed = self._tokens.renewed(token)
        if renewed is None:
            return reply
        self._enter(lane, undoes=undoes)
        return self._ask(method, url, headers, body, renewed)

    def _enter(self, lane: str, *, undoes: bool) -> None:
        """Wait until the limits let one more request through, and look who works."""
        if not undoes:
            self._beat()
        try:
            if lane:
                self._limits.enter(self._lane(lane))
            self._limits.enter(self._connection_id)
        except Paused as paused:
            reason, left_s = paused.pause
            raise Throttled(
                str(paused), left_s, daily=reason == DAILY_LIMIT
            ) from paused
        if not undoes:
            self._beat()

    def _lane(self, name: str) -> str:
        """What a lane of this connection is called among all limits."""
        return f"{self._connection_id}/{name}" if name else self._connection_id

    def _ask(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: object,
        token: str | None,
    ) -> Reply:
        given = {"Accept": "application/json", "User-Agent": "Holdfast", **headers}
        if token is not None:
            given["Authorization"] = f"Bearer {token}"
        content = _content(body)
        if content is not None:
            given["Content-Type"] = content.type
        self._hold_on()
        try:
            response = self._outbound.request(
                method, url, headers=given, content=content.body if content else b""
            )
        except ForbiddenTarget as error:
            raise Misconfigured(FORBIDDEN_TARGET, str(error)) from error
        except OutboundError as error:
            self.may_have_written |= error.sent and method != "GET"
            raise Unavailable(str(error), sent=error.sent) from error
        done = response.sent if self._discloses else response.status not in _NOT_DONE
        self.may_have_written |= method != "GET" and done
        return Reply(
            response.status,
            {name.lower(): value for name, value in response.headers.items()},
            _json(response.body),
            response.body,
            response.sent,
        )

    def notice(self, limit: Limit, lane: str = "") -> None:
        """Keep to what the CRM's headers have said of its limit, or of a lane's."""
        self._limits.notice(self._lane(lane), limit)


def _content(body: object) -> Content | None:
    if body is None or isinstance(body, Content):
        return body
    return Content("application/json", json.dumps(body).encode())


def _json(body: bytes) -> object:
    try:
        return json.loads(body) if body else None
    except ValueError:
        return None
