"""`/metrics`: what waits and runs, and what this process was asked, for Prometheus.

The queues are looked at when they are asked for, so that each process of the API says
the same of them; requests are counted by the process that answered them.
"""

from collections.abc import Iterator, Mapping

from fastapi import FastAPI, Response
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from sqlalchemy.exc import SQLAlchemyError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from storage.database import Database
from storage.jobs import queue_metrics
from storage.jobs.queue_metrics import Queues
from storage.ledger import audit, audit_verdicts, business_clock
from storage.ledger.audit_verdicts import Verdict
from worker.infrastructure.clock import Stopwatch
from worker.infrastructure.dependencies import connect
from worker.infrastructure.settings import MISSED_REPORTS, Settings
from worker.ledger.audit import late_after_s
from worker.ledger.business_clock import state_of

_BUCKETS_S = (0.01, 0.05, 0.1, 0.5, 1, 5, 30)
_UNROUTED = "none"

PREFIX = "/v1"
"""Before each route but those for operators."""


def add_route(api: FastAPI, settings: Settings) -> None:
    """Add the route, and count the requests to all of them."""
    registry = CollectorRegistry()
    registry.register(_Queues(connect(settings, pool=1), settings))

    @api.get("/metrics", include_in_schema=False)
    def metrics() -> Response:
        """Say how things stand, as text for Prometheus."""
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    api.add_middleware(_Requests, registry=registry)


class _Queues:
    """Looks into the database; without one, `holdfast_database_up` says so."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._within_s = settings.report_interval_s * MISSED_REPORTS
        self._late_after_s = late_after_s(settings)

    def collect(self) -> Iterator[Metric]:
        """Yield the gauges of one look."""
        try:
            with self._database.transaction() as connection:
                found = queue_metrics.look(
                    connection, processes_within_s=self._within_s
                )
                clock = business_clock.read(connection)
                verdict = audit_verdicts.verdict(
                    connection, late_after_s=self._late_after_s
                )
        except SQLAlchemyError:
            found = None
        is_up = found is not None
        yield _gauge("database_up", "Whether the database answers.", float(is_up))
        if found is not None:
            yield from _gauges(found)
            yield _gauge(
                "clock_held_back_seconds",
                "How far the database's clock is ahead of business time.",
                max(0, clock.held_back_by.total_seconds()),
            )
            yield _gauge(
                "clock_held_back",
                "Whether business time does not go by the database's clock.",
                float(state_of(clock) != "ok"),
            )
            yield from _audit_gauges(verdict)


def _gauges(found: Queues) -> Iterator[Metric]:
    yield _by("jobs", "Jobs that have not ended.", "state", found.jobs)
    yield _by("chunks", "Chunks that are not done.", "state", found.chunks)
    yield _by("outbox_entries", "Entries that are not done.", "topic", found.outbox)
    yield _by("processes", "Processes that reported of late.", "role", found.processes)
    yield _gauge(
        "oldest_chunk_wait_seconds",
        "How long a chunk has waited that may run.",
        found.oldest_chunk_s,
    )
    yield _gauge(
        "oldest_outbox_wait_seconds",
        "How long an entry has waited that is due.",
        found.oldest_entry_s,
    )
    yield _gauge(
        "credits_reserved",
        "Credits that open reservations still hold.",
        found.credits_reserved,
    )
    dropped = CounterMetricFamily(
        "holdfast_messages_dropped",
        "Messages of the broker that no worker could run.",
        labels=["queue", "reason"],
    )
    for labels, count in found.dropped.items():
        dropped.add_metric(labels, count)
    yield dropped


def _audit_gauges(found: Verdict) -> Iterator[GaugeMetricFamily]:
    counts = dict.fromkeys(audit.CHECKS, 0) | found.violations
    yield _by(
        "audit_violations", "Broken promises that nobody acknowledged.", "check", counts
    )
    yield _gauge("audit_late", "Whether an audit is overdue.", float(found.late))


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"holdfast_{name}", text, value=value)


def _by(
    name: str, text: str, label: str, counts: Mapping[str, int]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"holdfast_{name}", text, labels=[label])
    for value, count in counts.items():
        family.add_metric([value], count)
    return family


class _Requests:
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
