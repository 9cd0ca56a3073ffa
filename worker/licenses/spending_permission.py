"""Whether a user may spend, read in the transaction that spends (rule 7)."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection

from pricing.permission import may_spend
from storage.licenses import licenses, notifications
from worker.infrastructure.dependencies import Deps
from worker.infrastructure.errors import Code, Refused


class NotAllowed(Refused):
    """A user who may not spend tried to; the user is told."""

    def __init__(self, license_id: str, user_id: str) -> None:
        self.license_id = license_id
        self.user_id = user_id
        super().__init__(
            Code.CREDITS_NOT_ALLOWED, f"user {user_id} may not spend credits"
        )


def check_permission(
    connection: Connection, license_id: str, user_id: str, credits_max: int
) -> None:
    """Raise `NotAllowed` where this user may not start what can cost so much."""
    spender = licenses.spender(connection, license_id, user_id)
    if spender is None or not may_spend(
        credits_max,
        role=spender.user.role,
        credits_allowed=spender.user.credits_allowed,
        features=spender.features,
    ):
        raise NotAllowed(license_id, user_id)


@contextmanager
def telling_who_may_not_spend(deps: Deps) -> Iterator[None]:
    """Leave one notification where what happens inside is refused for permission.

    It stands around the transaction: what that wrote is gone, the message stays.
    """
    try:
        yield
    except NotAllowed as refused:
        with deps.database.transaction() as connection:
            notifications.put(
                connection,
                refused.license_id,
                refused.user_id,
                refused.code.value,
                refused.detail,
            )
        raise
