"""Pauses of more than a job: a license, a connection, a provider, everything.

What runs ends its batch; jobs keep their state, say why they wait, and their deadlines
stand still. Quoting, submitting and cancelling go on as ever.
"""

from sqlalchemy import Connection

from storage.connections import connections
from storage.licenses import licenses
from storage.operations import action_log, scope_pauses
from storage.operations.action_log import Acting, Target
from storage.operations.scope_pauses import ScopePause
from storage.pause_scope import PauseScope
from worker.findings.provider_names import VENDORS
from worker.infrastructure.dependencies import Deps
from worker.infrastructure.errors import Code, Refused, bad


def pause_scope(deps: Deps, scope: PauseScope, subject: str, by: Acting) -> bool:
    """Pause a license, a connection or a provider by its id, or everything, named "".

    Whether it was not paused before: else it stays as it was. Raises `BadInput`
    without a reason, and `Refused` where there is no such thing.
    """
    if by.reason is None or not by.reason.strip():
        raise bad("reason", "is missing: all who wait are told")
    with deps.database.transaction() as connection:
        target = target_of(connection, scope, subject)
        if target is None:
            raise Refused(Code.NOT_FOUND, f"there is no {scope} {subject}")
        is_new = scope_pauses.pause(
            connection, scope, subject, reason=by.reason, by=by.actor.name
        )
        if is_new:
            action_log.note(connection, by, "pause", target)
    return is_new


def resume_scope(
    deps: Deps, scope: PauseScope, subject: str, by: Acting | None = None
) -> bool:
    """Let what was paused go on, its deadlines later by as long as it was held.

    Whether it was paused.
    """
    with deps.database.transaction() as connection:
        was_paused = scope_pauses.lift(
            connection, scope, subject, doubt_s=deps.settings.push_doubt_s
        )
        if was_paused and by is not None:
            # What has been taken away since is noted as the house's.
            target = target_of(connection, scope, subject)
            gone = Target(scope.value, subject)
            action_log.note(connection, by, "resume", target or gone)
    return was_paused


def target_of(connection: Connection, scope: PauseScope, subject: str) -> Target | None:
    """What is paused, and whose it is; None where there is no such thing."""
    match scope:
        case PauseScope.EVERYTHING:
            return None if subject else Target(scope.value, scope.value)
        case PauseScope.PROVIDER:
            return Target(scope.value, subject) if subject in VENDORS else None
        case PauseScope.LICENSE:
            found = licenses.get(connection, subject)
            return Target(scope.value, subject, subject) if found else None
        case PauseScope.CONNECTION:
            there = connections.get(connection, subject)
            return Target(scope.value, subject, there.license_id) if there else None


def pause_of(deps: Deps, scope: PauseScope, subject: str) -> ScopePause | None:
    """The pause of something, if it is paused."""
    with deps.database.reading() as connection:
        return scope_pauses.get(connection, scope, subject)
