"""The runs of a closed period's statement: closing it, and what is frozen of it.

A run holds the rows whose transactions lie between two sealed bounds, the first one
all below its own. So each row of a period is in one run, and a frozen one stays right.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection, text

from storage.finance.statements.lines import Accounts
from storage.finance.statements.stated_periods import StatedPeriod
from storage.tables.column_types import ERA, transaction_of


@dataclass(frozen=True, slots=True, kw_only=True)
class FrozenRun:
    """A run as it is kept; `document` is what is answered, to the byte."""

    period_id: int
    run: int
    license_id: str
    since: int
    until: int
    closing: Accounts
    head: str | None
    document: str
    frozen_at: datetime

    @property
    def sha256(self) -> str:
        """The digest of the document, by which a copy of it can be known again."""
        return hashlib.sha256(self.document.encode()).hexdigest()


_RUN = """
SELECT period_id, run, license_id, since, until, available, reserved, spent, expired,
       head, document, frozen_at
  FROM statements
"""


def run(connection: Connection, period_id: int, number: int) -> FrozenRun | None:
    """One run of a period."""
    return _one(
        connection,
        f"{_RUN} WHERE period_id = :period_id AND run = :run",
        period_id=period_id,
        run=number,
    )


def last(connection: Connection, period_id: int) -> FrozenRun | None:
    """The last run of a period."""
    return _one(
        connection,
        f"{_RUN} WHERE period_id = :period_id ORDER BY run DESC LIMIT 1",
        period_id=period_id,
    )


def _one(connection: Connection, query: str, **given: int) -> FrozenRun | None:
    row = connection.execute(text(query), given).one_or_none()
    if row is None:
        return None
    return FrozenRun(
        period_id=row.period_id,
        run=row.run,
        license_id=row.license_id,
        since=row.since,
        until=row.until,
        closing=Accounts(row.available, row.reserved, row.spent, row.expired),
        head=row.head,
        document=row.document,
        frozen_at=row.frozen_at,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow:
    """A run in a list: without its document."""

    starts_at: datetime
    ends_at: datetime
    run: int
    closing: Accounts
    head: str | None
    sha256: str
    """Of its document."""
    frozen_at: datetime


def of_license(
    connection: Connection,
    license_id: str,
    *,
    before: tuple[datetime, int] | None,
    limit: int,
) -> list[RunRow]:
    """The frozen runs of a license, the newest period and run first."""
    rows = connection.execute(
        text("""
            SELECT p.starts_at, p.ends_at, s.run, s.available, s.reserved, s.spent,
                   s.expired, s.head, s.frozen_at,
                   encode(sha256(convert_to(s.document, 'UTF8')), 'hex') AS sha256
              FROM periods AS p JOIN statements AS s ON s.period_id = p.id
             WHERE p.license_id = :license_id
               AND (CAST(:starts_at AS timestamptz) IS NULL
                    OR (p.starts_at, s.run) < (:starts_at, :run))
             ORDER BY p.starts_at DESC, s.run DESC LIMIT :limit"""),
        {
            "license_id": license_id,
            "starts_at": before and before[0],
            "run": before and before[1],
            "limit": limit,
        },
    )
    return [
        RunRow(
            starts_at=row.starts_at,
            ends_at=row.ends_at,
            run=row.run,
            closing=Accounts(row.available, row.reserved, row.spent, row.expired),
            head=row.head,
            sha256=row.sha256,
            frozen_at=row.frozen_at,
        )
        for row in rows
    ]


_KEEP = text("""
WITH kept AS (
  INSERT INTO statements (period_id, run, license_id, since, until, previous_run,
                          available, reserved, spent, expired, head, document,
                          frozen_at)
  VALUES (:period_id, :run, :license_id, :since, :until, nullif(:run - 1, 0),
          :available, :reserved, :spent, :expired, :head, :document, :frozen_at)
  RETURNING period_id, spent)
UPDATE periods SET stated_spent = kept.spent FROM kept WHERE id = kept.period_id
""")


def keep(connection: Connection, frozen: FrozenRun) -> None:
    """Freeze a run; its period is locked, so that there is one after the other."""
    connection.execute(
        _KEEP,
        {
            "period_id": frozen.period_id,
            "run": frozen.run,
            "license_id": frozen.license_id,
            "since": frozen.since,
            "until": frozen.until,
            **frozen.closing._asdict(),
            "head": frozen.head,
            "document": frozen.document,
            "frozen_at": frozen.frozen_at,
        },
    )


def due(connection: Connection) -> list[int]:
    """The closed periods in which something has moved that no run holds yet."""
    rows = connection.execute(
        text("""
            SELECT id FROM periods
             WHERE closed_at IS NOT NULL AND spent IS DISTINCT FROM stated_spent
             ORDER BY id""")
    )
    return list(rows.scalars())


class CloseResult(StrEnum):
    """What became of a period that was to be closed."""

    CLOSED = "closed"
    WAS_CLOSED = "was_closed"
    NOT_ENDED = "not_ended"
    STILL_OPEN = "still_open"
    """Reservations of it are open."""


_ERA = "SELECT coalesce(max(era), 0) FROM chain_runs"

_CLOSE = text(f"""
UPDATE periods
   SET closed_at = holdfast_now(),
       closed_in = ({_ERA}) * CAST('{ERA}' AS bigint) + {transaction_of(era=0)}
 WHERE id = :period_id AND closed_at IS NULL AND ended_at IS NOT NULL
   AND ends_at <= (SELECT holdfast_confirmed_now()) AND reserved = 0
   AND NOT EXISTS (SELECT FROM reservations
                    WHERE period_id = :period_id AND state = 'open')
""")  # noqa: S608 - constants only


def close(connection: Connection, period: StatedPeriod) -> CloseResult:
    """Close a period that is `locked`, for good: only refunds move in it from now on.

    It must be over by the calendar too: one that a wrong clock has ended may run again.
    """
    if period.closed_at is not None:
        return CloseResult.WAS_CLOSED
    # After the lock, so that it sees whatever was waited for.
    if connection.execute(_CLOSE, {"period_id": period.id}).rowcount == 1:
        return CloseResult.CLOSED
    if open_jobs(connection, period.id, limit=1):
        return CloseResult.STILL_OPEN
    return CloseResult.NOT_ENDED


def open_jobs(connection: Connection, period_id: int, *, limit: int) -> list[str]:
    """Jobs whose reservations of this period are open, the oldest first."""
    rows = connection.execute(
        text("""
            SELECT job_id FROM reservations
             WHERE period_id = :period_id AND state = 'open'
             ORDER BY id LIMIT :limit"""),
        {"period_id": period_id, "limit": limit},
    )
    return list(rows.scalars())
