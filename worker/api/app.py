"""The API's factory: the routes on the use cases that the command line has too."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from worker.api import health, metrics, openapi, problem_details
from worker.api.context import ApiContext
from worker.api.encoded_paths import EncodedPaths
from worker.api.job_followers import JobFollowers
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
from worker.infrastructure.settings import Settings
from worker.wiring import wire

_CONNECTIONS = 20
_FAMILIES = (
    licenses,
    templates,
    uploads,
    quotes,
    jobs,
    lookups,
    files,
    charges,
    connections,
    authorizations,
    consent_callback,
    dry_runs,
    webhooks,
    provider_reports,
    audit,
)


def make_api(settings: Settings) -> FastAPI:
    """The API on these settings."""
    deps = wire(settings, pool=_CONNECTIONS)
    followers = JobFollowers(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        followers.close()
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
        deps=deps, rate=RateLimit(settings), followers=followers
    )
    health.add_routes(api, settings)
    for family in _FAMILIES:
        api.include_router(family.router, prefix=metrics.PREFIX)
    problem_details.add_handlers(api)
    openapi.describe(api)
    api.add_middleware(
        BodyLimit, bytes_max=settings.body_bytes_max, uploads="/v1/uploads"
    )
    api.add_middleware(problem_details.UnforeseenErrors)
    metrics.add_route(api, settings)
    api.add_middleware(EncodedPaths)
    return api
