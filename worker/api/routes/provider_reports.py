"""Hooks: what providers report on requests that they answer later.

A provider has no key: it signs what it sends, and a report is taken by that alone.
"""

from typing import Annotated

from fastapi import APIRouter, Path, Request
from fastapi.concurrency import run_in_threadpool

from worker.api import models
from worker.api.context import context_of
from worker.findings import provider_reports
from worker.findings.providers.errors import BadSignature, ProviderError
from worker.infrastructure.errors import Code, Refused
from worker.wiring import Wired

router = APIRouter(tags=["hooks"])

_BODY = {
    "requestBody": {
        "required": True,
        "description": "The report in the provider's own words, signed by it.",
        "content": {"application/json": {"schema": {}}},
    },
}


@router.post("/hooks/{provider}", openapi_extra=_BODY, response_model=models.Taken)
async def take_report(
    request: Request,
    provider: Annotated[models.ClientId, Path(description="The provider's name.")],
) -> dict[str, str]:
    """Take a provider's report on a request of ours; the same again changes nothing."""
    body = await request.body()
    deps = context_of(request).deps
    headers = dict(request.headers)
    lookup = await run_in_threadpool(_take, deps, provider, headers, body)
    return {"lookup": lookup}


def _take(deps: Wired, provider: str, headers: dict[str, str], body: bytes) -> str:
    asked = deps.providers.deferred(provider)
    if asked is None:
        raise Refused(Code.NOT_FOUND, f"{provider} is not asked to report here")
    try:
        report = asked.read_webhook(headers, body)
    except BadSignature as error:
        raise Refused(Code.UNAUTHORIZED, f"{provider} has not signed this") from error
    except ProviderError as error:
        raise Refused(Code.INVALID_REQUEST, str(error)) from error
    matched = provider_reports.take(deps, provider, report)
    if matched is None:
        raise Refused(Code.NOT_FOUND, "there is no such request")
    return matched.id
