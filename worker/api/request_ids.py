"""The id of a request: on each line that is logged meanwhile, and on its answer.

A client, or the proxy before us, may bring its own in `X-Request-Id`.
"""

import re

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from worker.infrastructure.ids import new_id
from worker.infrastructure.telemetry import log_context, traces

_HEADER = "X-Request-Id"
_TAKEN = re.compile(r"[\w.:/@+-]{1,100}", re.ASCII)
"""Others' ids that may stand on a line of ours."""
_NAMED = ("license", "job")
"""What lines carry of a route's own parameters."""


class RequestIds:
    """Binds the id of each request, with the license and job that its path names."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; its answer says by which id it is logged."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(_HEADER, "")
        request_id = given if _TAKEN.fullmatch(given) else new_id("request")

        theirs = Headers(scope=scope).get("traceparent")

        async def tell(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[_HEADER] = request_id
            await send(message)

        def fields() -> log_context.Fields:
            # Known once the route is.
            path = scope.get("path_params", {})
            named = {name: str(path[name]) for name in _NAMED if name in path}
            return named | {"request": request_id}

        with log_context.bound_by(fields), traces.continued(theirs):
            await self._app(scope, receive, tell)
