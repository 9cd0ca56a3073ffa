"""Pauses of a license, a connection, a provider, everything."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request

from storage.access_scopes import Scope
from storage.operations import scope_pauses as kept_pauses
from storage.operations.scope_pauses import ScopePause
from storage.pause_scope import PauseScope
from worker.api import cursors, models
from worker.api.access_control import (
    CheckedRoute,
    Whose,
    acting_of,
    allow,
    license_itself,
    seen_license,
)
from worker.api.context import context_of
from worker.api.routes.connections import OF_CONNECTION, ConnectionId
from worker.api.routes.licenses import LicenseId
from worker.infrastructure.errors import bad
from worker.operations import scope_pauses
from worker.responses import pause_responses
from worker.responses.response import Answer

router = APIRouter(route_class=CheckedRoute, tags=["operations"])

ProviderName = Annotated[models.ClientId, Path(description="The provider's name.")]

Reason = Annotated[
    models.Name | None, Query(description="Why; it is kept in the action log.")
]

_OF_LICENSE = Whose("license", license_itself)


@router.get("/pauses", response_model=models.Page[models.Pause])
@allow(Scope.OPERATOR)
def list_pauses(
    request: Request,
    limit: cursors.Limit = cursors.LIMIT,
    cursor: cursors.Cursor = None,
) -> Answer:
    """List what is paused; a bound key sees its license and its connections."""
    with context_of(request).deps.database.reading() as connection:
        found = kept_pauses.page(
            connection,
            license_id=seen_license(request, None),
            after=_after(cursor),
            limit=limit + 1,
        )
    return cursors.page(found, limit, _shown, lambda row: f"{row.scope}/{row.subject}")


def _after(cursor: str | None) -> tuple[str, str]:
    if cursor is None:
        return "", ""
    scope, slash, subject = cursors.decode(cursor).partition("/")
    if not slash:
        raise bad("cursor", "is no cursor of this list")
    return scope, subject


def _shown(pause: ScopePause) -> Answer:
    return pause_responses.of_pause(pause.scope, pause.subject, pause)


@router.put("/pauses/everything", response_model=models.Pause)
@allow(Scope.OPERATOR, house=True)
def pause_everything(request: Request, body: models.NewPause) -> Answer:
    """Let all jobs rest; quotes, submissions and cancellations go on."""
    return _pause(request, PauseScope.EVERYTHING, "", body)


@router.delete("/pauses/everything", response_model=models.Pause)
@allow(Scope.OPERATOR, house=True)
def resume_everything(request: Request, reason: Reason = None) -> Answer:
    """Let all go on that is not paused otherwise."""
    return _resume(request, PauseScope.EVERYTHING, "", reason)


@router.put("/pauses/license/{license}", response_model=models.Pause)
@allow(Scope.OPERATOR, of=_OF_LICENSE)
def pause_license(
    request: Request, license: LicenseId, body: models.NewPause
) -> Answer:
    """Let all jobs of a license rest."""
    return _pause(request, PauseScope.LICENSE, license, body)


@router.delete("/pauses/license/{license}", response_model=models.Pause)
@allow(Scope.OPERATOR, of=_OF_LICENSE)
def resume_license(
    request: Request, license: LicenseId, reason: Reason = None
) -> Answer:
    """Let a license's jobs go on."""
    return _resume(request, PauseScope.LICENSE, license, reason)


@router.put("/pauses/connection/{connection}", response_model=models.Pause)
@allow(Scope.OPERATOR, of=OF_CONNECTION)
def pause_connection(
    request: Request, connection: ConnectionId, body: models.NewPause
) -> Answer:
    """Let all pushes to a connection rest."""
    return _pause(request, PauseScope.CONNECTION, connection, body)


@router.delete("/pauses/connection/{connection}", response_model=models.Pause)
@allow(Scope.OPERATOR, of=OF_CONNECTION)
def resume_connection(
    request: Request, connection: ConnectionId, reason: Reason = None
) -> Answer:
    """Let a connection's pushes go on."""
    return _resume(request, PauseScope.CONNECTION, connection, reason)


@router.put("/pauses/provider/{provider}", response_model=models.Pause)
@allow(Scope.OPERATOR, house=True)
def pause_provider(
    request: Request, provider: ProviderName, body: models.NewPause
) -> Answer:
    """Ask a provider nothing; jobs that need it wait."""
    return _pause(request, PauseScope.PROVIDER, provider, body)


@router.delete("/pauses/provider/{provider}", response_model=models.Pause)
@allow(Scope.OPERATOR, house=True)
def resume_provider(
    request: Request, provider: ProviderName, reason: Reason = None
) -> Answer:
    """Let a provider be asked again."""
    return _resume(request, PauseScope.PROVIDER, provider, reason)


def _pause(
    request: Request, scope: PauseScope, subject: str, body: models.NewPause
) -> Answer:
    acting = acting_of(request, body)
    scope_pauses.pause_scope(context_of(request).deps, scope, subject, acting)
    return _standing(request, scope, subject)


def _resume(
    request: Request, scope: PauseScope, subject: str, reason: str | None
) -> Answer:
    acting = acting_of(request, models.Reasoned(reason=reason))
    scope_pauses.resume_scope(context_of(request).deps, scope, subject, acting)
    return _standing(request, scope, subject)


def _standing(request: Request, scope: PauseScope, subject: str) -> Answer:
    found = scope_pauses.pause_of(context_of(request).deps, scope, subject)
    return pause_responses.of_pause(scope, subject, found)
