"""A client for connectors that keeps what was asked and answered."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from worker.connections.connectors.connector import Content, Limit, Reply, Row
from worker.connections.connectors.errors import Unavailable
from worker.infrastructure.errors import OutboundError
from worker.infrastructure.outbound_http import OutboundHttp

TOKEN = "pat-eu1-token-of-the-tests"
UPSERT = "POST /crm/v3/objects/contacts/batch/upsert"
UPDATE = "POST /crm/v3/objects/contacts/batch/update"
SCREENS = "https://app.hubspot.com/contacts/4711/record"


class Exchange(NamedTuple):
    """A request as it was sent, and its answer."""

    method: str
    path: str
    body: Any
    reply: Reply


class PlainHttp:
    """Asks at once, whatever the limits."""

    def __init__(self, *, timeout_s: float = 5, token: str = TOKEN) -> None:
        self._token = token
        self._outbound = OutboundHttp(allow_private=True, timeout_s=timeout_s)
        self.exchanges: list[Exchange] = []
        self.limits: list[Limit] = []
        self.lanes: dict[str, Limit] = {}

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
        del lane, undoes
        content = _content(body)
        own = {"Authorization": f"Bearer {self._token}", "Content-Type": content.type}
        try:
            response = self._outbound.request(
                method, url, headers={**own, **headers}, content=content.body
            )
        except OutboundError as error:
            raise Unavailable(str(error)) from error
        reply = Reply(
            response.status,
            {name.lower(): value for name, value in response.headers.items()},
            _json(response.body),
            response.body,
        )
        sent = body.body if isinstance(body, Content) else _json(content.body)
        self.exchanges.append(Exchange(method, urlsplit(url).path, sent, reply))
        return reply

    def notice(self, limit: Limit, lane: str = "") -> None:
        if lane:
            self.lanes[lane] = limit
        else:
            self.limits.append(limit)


def _content(body: object) -> Content:
    if isinstance(body, Content):
        return body
    text = b"" if body is None else json.dumps(body).encode()
    return Content("application/json", text)


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


def persons(count: int, **changed: dict[str, str]) -> list[Row]:
    """Persons p0, p1, ..., some of them with other fields."""
    return [
        Row(
            id=f"p{number}",
            fields={"firstname": f"N{number}", "email": f"n{number}@engine.example"}
            | changed.get(f"p{number}", {}),
        )
        for number in range(count)
    ]
