"""The API's factory: the routes on the use cases that the command line has too."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from anyio import to_thread
from fastapi import FastAPI

from worker.api import health, openapi, problem_details
from worker.api.context import ApiContext
from worker.api.encoded_paths import EncodedPaths
from worker.api.job_followers import JobFollowers
from worker.api.metrics import route as metrics_route
from worker.api.metrics.request_metrics import PREFIX
from worker.api.request_ids import RequestIds
from worker.api.request_limits import BodyLimit, RateLimit
from worker.api.routes import (
    audit,
    authorizations,
    charges,
    connections,
    consent_callback,
    dry_runs,
    files,
    jobs,
    licenses,
    lookups,
    provider_reports,
    quotes,
    templates,
    uploads,
    webhooks,
)
from worker.api.routes.finance import (
    balances,
    explained_charges,
    overviews,
    reconciliations,
    refunds,
    statements,
    usage_files,
    warehouse,
)
from worker.api.routes.operations import (
    actions,
    bulk,
    pauses,
    processes,
    queues,
    recovery,
)
from worker.console.mount import PATH, ConsoleMount
from worker.heap import freeze_heap
from worker.infrastructure.settings import Settings
from worker.operations.counter_flush import CounterFlush
from worker.wiring import wire

_THREADS = 20
"""So many requests are worked on at once, each with a connection of its own."""
_FAMILIES = (
    licenses,
    templates,
    uploads,
    quotes,
    jobs,
    lookups,
    files,
    charges,
    refunds,
    balances,
    overviews,
    connections,
    authorizations,
    consent_callback,
    dry_runs,
    webhooks,
    provider_reports,
    audit,
    actions,
    bulk,
    recovery,
    processes,
    queues,
    pauses,
    explained_charges,
    reconciliations,
    statements,
    usage_files,
    warehouse,
)


def make_api(settings: Settings) -> FastAPI:
    """The API on these settings."""
    deps = wire(settings, pool=_THREADS)
    followers = JobFollowers(settings)
    rate = RateLimit(settings)
    console = ConsoleMount(deps, rate.count)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        # A thread more than there are connections would only wait for one.
        to_thread.current_default_thread_limiter().total_tokens = _THREADS
        freeze_heap()
        flush = CounterFlush(deps.database)
        yield
        flush.close()
        followers.close()
        console.close()
        deps.providers.close()
        deps.crms.close()
        deps.database.close()

    api = FastAPI(
        title="Holdfast",
        version="1",
        openapi_url="/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        # An id that is empty names no list.
        redirect_slashes=False,
        lifespan=lifespan,
    )
    api.state.context = ApiContext(
        deps=deps, rate=rate, followers=followers, console=console
    )
    health.add_routes(api, settings)
    for family in _FAMILIES:
        api.include_router(family.router, prefix=PREFIX)
    api.mount(PATH, console)
    problem_details.add_handlers(api)
    openapi.describe(api)
    api.add_middleware(
        BodyLimit, bytes_max=settings.body_bytes_max, uploads="/v1/uploads"
    )
    api.add_middleware(problem_details.UnforeseenErrors)
    metrics_route.add_route(api, settings)
    api.add_middleware(RequestIds)
    api.add_middleware(EncodedPaths)
    return api
