"""Who comes back from a CRM's consent page: no key, but the state they left with."""

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response

from worker.api import models
from worker.api.context import context_of
from worker.api.problem_details import problem
from worker.connections import oauth_consent
from worker.infrastructure.errors import Code
from worker.responses import connection_responses

router = APIRouter(tags=["connections"])

_SEE_OTHER = 303


@router.get(
    "/authorizations/callback",
    response_model=models.Connection,
    responses={303: {"description": "To the return_url that was given"}},
)
def complete_authorization(
    request: Request,
    state: Annotated[str, Query(max_length=200)],
    code: Annotated[str | None, Query(max_length=2_000)] = None,
    error: Annotated[str | None, Query(max_length=200)] = None,
) -> Response:
    """Make the connection that somebody has consented to; the CRM sends them here."""
    try:
        done = oauth_consent.complete(
            context_of(request).deps,
            state,
            code=code,
            error=error,
        )
    except oauth_consent.Denied as denied:
        if denied.return_url is not None:
            return _back(denied.return_url, error=denied.code)
        return problem(Code.FORBIDDEN, str(denied))
    if done.return_url is not None:
        return _back(done.return_url, connection=done.connection.id)
    return JSONResponse(connection_responses.of_connection(done.connection))


def _back(return_url: str, **said: str) -> Response:
    address, hash_, fragment = return_url.partition("#")
    mark = "&" if "?" in address else "?"
    where = f"{address}{mark}{urlencode(said)}{hash_}{fragment}"
    return RedirectResponse(where, _SEE_OTHER)
