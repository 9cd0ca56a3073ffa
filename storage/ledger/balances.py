"""The balance of a license: its running period's credits, from one snapshot."""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, text

from pricing.plans import PaymentTerm, Plan
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


_BALANCE = text(f"""
SELECT starts_at, ends_at, granted, expired,
       reserved - open.settled AS reserved, spent + open.settled AS spent
  FROM periods, LATERAL (
       SELECT coalesce(sum(settled), 0)::bigint AS settled FROM reservations
        WHERE period_id = periods.id AND state = 'open') AS open
 WHERE {RUNNING_PERIOD}
""")  # noqa: S608 - a constant


class Account(NamedTuple):
    """What a license buys by, what time it is for it, and its period's credits."""

    plan: Plan
    payment_term: PaymentTerm
    now: datetime
    balance: Balance | None


_ACCOUNT = text(f"""
SELECT plan, payment_term, holdfast_now() AS now, running.*
  FROM licenses LEFT JOIN LATERAL (
       SELECT starts_at AS period_starts_at, ends_at, granted, expired,
              reserved - open.settled AS reserved, spent + open.settled AS spent
         FROM periods, LATERAL (
              SELECT coalesce(sum(settled), 0)::bigint AS settled FROM reservations
               WHERE period_id = periods.id AND state = 'open') AS open
        WHERE periods.{RUNNING_PERIOD}) AS running ON true
 WHERE licenses.id = :license_id
""")  # noqa: S608 - a constant


def account(connection: Connection, license_id: str) -> Account | None:
    """A license with its balance, from one snapshot; None where there is no license."""
    row = connection.execute(_ACCOUNT, {"license_id": license_id}).one_or_none()
    if row is None:
        return None
    balance = None
    if row.period_starts_at is not None:
        balance = Balance(
            starts_at=row.period_starts_at,
            ends_at=row.ends_at,
            granted=row.granted,
            reserved=row.reserved,
            spent=row.spent,
            expired=row.expired,
        )
    return Account(Plan(row.plan), PaymentTerm(row.payment_term), row.now, balance)


def balance(connection: Connection, license_id: str) -> Balance | None:
    """The running period's credits, or None where no period is open and running."""
    found = connection.execute(_BALANCE, {"license_id": license_id})
    row = found.mappings().one_or_none()
    return None if row is None else Balance(**row)
