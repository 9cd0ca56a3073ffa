"""The balance of a license: its running period's credits, from one snapshot."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from storage.ledger.periods import RUNNING_PERIOD


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """A period's credits as people see them, from one snapshot.

    What open reservations have settled counts as spent here, not as reserved.
    """

    starts_at: datetime
    ends_at: datetime
    granted: int
    reserved: int
    spent: int
    expired: int

    @property
    def available(self) -> int:
        """What a new job may still reserve."""
        return self.granted - self.reserved - self.spent - self.expired


def balance(connection: Connection, license_id: str) -> Balance | None:
    """The running period's credits, or None where no period is open and running."""
    found = connection.execute(
        text(f"""
            SELECT starts_at, ends_at, granted, expired,
                   reserved - open.settled AS reserved, spent + open.settled AS spent
              FROM periods, LATERAL (
                   SELECT coalesce(sum(settled), 0)::bigint AS settled
                     FROM reservations
                    WHERE period_id = periods.id AND state = 'open') AS open
             WHERE {RUNNING_PERIOD}"""),  # noqa: S608 - a constant
        {"license_id": license_id},
    )
    row = found.mappings().one_or_none()
    return None if row is None else Balance(**row)
