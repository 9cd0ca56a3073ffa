"""What is paused of one kind, and what leads to pausing more or resuming it."""

from collections.abc import Callable
from typing import NamedTuple

from sqlalchemy import Connection

from storage.operations import scope_pauses
from storage.operations.scope_pauses import ScopePause
from storage.pause_scope import PauseScope
from worker.console.console_actions import Offer
from worker.console.house_actions import scope_offer
from worker.console.visits import Visit


class ShownPauses(NamedTuple):
    """Pauses by what they are of, and the offer for any subject; None: not offered."""

    by_subject: dict[str, ScopePause]
    offer: Callable[[str], Offer | None]


_MOST = 500


def _found(
    connection: Connection, scope: PauseScope, license_id: str | None
) -> list[ScopePause]:
    if scope is PauseScope.EVERYTHING:
        everything = scope_pauses.get(connection, scope, "")
        return [everything] if everything else []
    return scope_pauses.page(
        connection, license_id=license_id, after=(scope.value, ""), limit=_MOST
    )


def pauses_shown(visit: Visit, scope: PauseScope) -> ShownPauses:
    """Those of a scope that this key may see."""
    with visit.deps.database.reading() as connection:
        found = _found(connection, scope, visit.key.license_id)
    paused = {one.subject: one for one in found if one.scope is scope}

    def offered(subject: str) -> Offer | None:
        if not visit.may_steer:
            return None
        return scope_offer(scope, subject, is_paused=subject in paused)

    return ShownPauses(paused, offered)
