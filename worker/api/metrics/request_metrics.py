"""Requests as this process answered them: by method, route and status, and how fast."""

from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from worker.infrastructure.clock import Stopwatch

_BUCKETS_S = (0.01, 0.05, 0.1, 0.5, 1, 5, 30)
_UNROUTED = "none"

PREFIX = "/v1"
"""Before each route but those for operators."""


class RequestMetrics:
    """Counts requests by method, route and status, and how long they took."""

    def __init__(self, app: ASGIApp, registry: CollectorRegistry) -> None:
        self._app = app
        self._count = Counter(
            "holdfast_http_requests",
            "Requests that were answered.",
            ["method", "route", "status"],
            registry=registry,
        )
        self._took = Histogram(
            "holdfast_http_request_seconds",
            "From a request to the start of its answer.",
            ["route"],
            buckets=_BUCKETS_S,
            registry=registry,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and note the start of its answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        await self._app(scope, receive, self._noting(scope, send))

    def _noting(self, scope: Scope, send: Send) -> Send:
        watch = Stopwatch()

        async def note(message: Message) -> None:
            if message["type"] == "http.response.start":
                route, status = _pattern(scope), str(message["status"])
                self._count.labels(scope["method"], route, status).inc()
                self._took.labels(route).observe(watch.elapsed_s)
            await send(message)

        return note


def _pattern(scope: Scope) -> str:
    """The route as it was declared: ids would make a series each."""
    route = getattr(scope.get("route"), "path", None)
    if route is None:
        return _UNROUTED
    # An included route does not know its router's prefix.
    is_included = scope["path"].startswith(PREFIX) and not route.startswith(PREFIX)
    return f"{PREFIX}{route}" if is_included else str(route)
