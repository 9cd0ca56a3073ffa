"""The API's factory. What stands today: whether the process and its ground are well."""

from fastapi import FastAPI

from worker.api import health
from worker.settings import Settings


def make_api(settings: Settings) -> FastAPI:
    """The API on these settings."""
    api = FastAPI(title="Holdfast", version="1", openapi_url="/v1/openapi.json")
    health.add_routes(api, settings)
    return api
