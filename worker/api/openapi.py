"""The OpenAPI document: what FastAPI makes of the routes, and what it cannot know.

That is the key that each route needs, the `Idempotency-Key` of each POST, and that
every error is a problem of RFC 9457.
"""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from worker.api import models
from worker.api.idempotency_keys import IDEMPOTENCY_KEY
from worker.api.problem_details import STATUS
from worker.infrastructure.ids import ID_LENGTH_MAX

Document = dict[str, Any]

_SUMMARY = "Bulk exports and CRM pushes that can never cost more than their quote."
_METHODS = ("get", "put", "post", "patch", "delete")
_HOOK = "/v1/hooks/{provider}"
_CALLBACK = "/v1/authorizations/callback"
_OPEN = ("/healthz", "/readyz", "/v1/files/{job}", _CALLBACK, _HOOK)
_EVERYWHERE = {401, 403, 404, 422, 429, 500, 503}
_OF_CHANGES = {402, 409, 413}

_TITLES = {
    401: "No key, or not a live one",
    402: "The credits do not suffice",
    403: "The key's scope, or the user, may not do this",
    404: "There is no such thing, or not for this key",
    409: "It does not fit what is there",
    413: "Too large",
    422: "Something that was sent cannot be used",
    429: "Too many requests",
    500: "Something failed that should not; its id stands in the log",
    503: "Something that this needs does not answer",
}

_REPLAY = {
    "name": IDEMPOTENCY_KEY,
    "in": "header",
    "required": False,
    "description": "The same key with the same request is answered the same.",
    "schema": {
        "type": "string",
        "minLength": 1,
        "maxLength": ID_LENGTH_MAX,
        "pattern": "^[!-~]+$",
    },
}


def describe(api: FastAPI) -> None:
    """Let the API answer with the whole document."""

    def openapi() -> Document:
        if api.openapi_schema is None:
            api.openapi_schema = _document(api)
        return api.openapi_schema

    api.openapi = openapi  # type: ignore[method-assign]


def _document(api: FastAPI) -> Document:
    document = get_openapi(
        title=api.title,
        version=api.version,
        summary=_SUMMARY,
        routes=api.routes,
    )
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    problem = models.Problem.model_json_schema(
        ref_template="#/components/schemas/{model}"
    )
    schemas.update(problem.pop("$defs", {}))
    schemas["Problem"] = problem
    components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    for path, operations in document["paths"].items():
        for method in _METHODS:
            if method in operations:
                _complete(path, method, operations[method])
    return document


def _complete(path: str, method: str, operation: Document) -> None:
    if path in ("/healthz", "/readyz"):
        return
    if path not in _OPEN:
        operation["security"] = [{"key": []}]
    if method == "post" and path != _HOOK:
        operation.setdefault("parameters", []).append(_REPLAY)
    changes = _OF_CHANGES if method != "get" else set()
    for status in sorted((_EVERYWHERE | changes) & set(STATUS.values())):
        operation["responses"][str(status)] = {
            "description": _TITLES[status],
            "content": {
                "application/problem+json": {
                    "schema": {"$ref": "#/components/schemas/Problem"},
                },
            },
        }
