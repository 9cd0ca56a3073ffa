"""The route `/metrics`, and the registry of what it shows."""

from fastapi import FastAPI, Response
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from worker.api.metrics.database_metrics import DatabaseMetrics
from worker.api.metrics.request_metrics import RequestMetrics
from worker.infrastructure.dependencies import connect
from worker.infrastructure.settings import Settings


def add_route(api: FastAPI, settings: Settings) -> None:
    """Add the route, and count the requests to all of them."""
    registry = CollectorRegistry()
    registry.register(DatabaseMetrics(connect(settings, pool=1), settings))

    @api.get("/metrics", include_in_schema=False)
    def metrics() -> Response:
        """Say how things stand, as text for Prometheus."""
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    api.add_middleware(RequestMetrics, registry=registry)
