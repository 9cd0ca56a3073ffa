"""The periods that statements are of, and how far each has been closed."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from storage.finance.statements.lines import Accounts


@dataclass(frozen=True, slots=True, kw_only=True)
class StatedPeriod:
    """A license's period; `closed_in` is the transaction that closed it."""

    id: int
    license_id: str
    starts_at: datetime
    ends_at: datetime
    ended_at: datetime | None
    closed_at: datetime | None
    closed_in: int | None

    @property
    def over_at(self) -> datetime:
        """From when on what moves is late."""
        if self.ended_at is None:
            return self.ends_at
        return min(self.ends_at, self.ended_at)


_PERIOD = """
SELECT id, license_id, starts_at, ends_at, ended_at, closed_at, closed_in FROM periods
"""


def starting(
    connection: Connection, license_id: str, since: datetime, before: datetime
) -> StatedPeriod | None:
    """The license's last period that starts in this time, if one was ever opened."""
    row = connection.execute(
        text(f"""{_PERIOD}
             WHERE license_id = :license_id AND starts_at >= :since
               AND starts_at < :before
             ORDER BY starts_at DESC LIMIT 1"""),
        {"license_id": license_id, "since": since, "before": before},
    )
    found = row.mappings().one_or_none()
    return None if found is None else StatedPeriod(**found)


def before(connection: Connection, period: StatedPeriod) -> StatedPeriod | None:
    """The period before this one."""
    row = connection.execute(
        text(f"""{_PERIOD}
             WHERE license_id = :license_id AND starts_at < :starts_at
             ORDER BY starts_at DESC LIMIT 1"""),
        {"license_id": period.license_id, "starts_at": period.starts_at},
    )
    found = row.mappings().one_or_none()
    return None if found is None else StatedPeriod(**found)


def locked(connection: Connection, period_id: int) -> StatedPeriod:
    """The period, which nobody changes until this transaction has ended."""
    row = connection.execute(
        text(f"{_PERIOD} WHERE id = :period_id FOR NO KEY UPDATE"),
        {"period_id": period_id},
    )
    return StatedPeriod(**row.mappings().one())


def at(
    connection: Connection, license_id: str, starts_at: datetime
) -> StatedPeriod | None:
    """The license's period that starts then."""
    row = connection.execute(
        text(f"{_PERIOD} WHERE license_id = :license_id AND starts_at = :starts_at"),
        {"license_id": license_id, "starts_at": starts_at},
    )
    found = row.mappings().one_or_none()
    return None if found is None else StatedPeriod(**found)


def accounts_of(connection: Connection, period_id: int) -> Accounts:
    """A period's accounts as they stand; what open jobs have settled is spent."""
    row = connection.execute(
        text("""
            SELECT granted - reserved - spent - expired AS available,
                   reserved - open.settled AS reserved, spent + open.settled AS spent,
                   expired
              FROM periods, LATERAL (
                   SELECT CAST(coalesce(sum(settled), 0) AS bigint) AS settled
                     FROM reservations
                    WHERE period_id = periods.id AND state = 'open') AS open
             WHERE id = :period_id"""),
        {"period_id": period_id},
    ).one()
    return Accounts(*row)
