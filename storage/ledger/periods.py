"""License periods: whoever first needs one opens it; what is left at its end expires.

Opening is unique by license and start, so any number may try at once, also after a
week in which nothing ran.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, text

from pricing.periods import Calendar
from pricing.plans import PaymentTerm
from storage.webhooks import events

RUNNING_PERIOD = "id = holdfast_running_period(:license_id) AND ended_at IS NULL"
"""Which of a license's periods runs now; credits are moved in no other.

The second half is looked at again under the row's lock.
"""

_OPEN = """
WITH opened AS (
  INSERT INTO periods (license_id, starts_at, ends_at, granted)
  VALUES (:license_id, :starts_at, :ends_at, :credits)
  ON CONFLICT (license_id, starts_at) DO NOTHING
  RETURNING id),
moved AS (
  INSERT INTO transfers (license_id, period_id, kind, from_account, to_account,
                         credits, reference)
  SELECT :license_id, id, 'grant', 'outside', 'available', :credits,
         'period from ' || CAST(:starts_at AS timestamptz)
    FROM opened WHERE :credits > 0)
SELECT id FROM opened
"""

_END = """
WITH ended AS (
  UPDATE periods
     SET ended_at = holdfast_confirmed_now(), expired = granted - reserved - spent
   WHERE ended_at IS NULL AND ends_at <= (SELECT holdfast_confirmed_now())
     AND id IN (SELECT id FROM periods
                 WHERE ended_at IS NULL
                   AND ends_at <= (SELECT holdfast_confirmed_now())
                   AND (CAST(:license_id AS text) IS NULL OR license_id = :license_id)
                 ORDER BY ends_at LIMIT :limit)
  RETURNING id, license_id, starts_at, ends_at, granted, reserved, spent, expired,
            reopened),
moved AS (
  INSERT INTO transfers (license_id, period_id, kind, from_account, to_account, credits)
  SELECT license_id, id, 'expire', 'available', 'expired', expired
    FROM ended WHERE expired > 0)
SELECT ended.id, license_id, starts_at, ends_at, granted, expired, reopened,
       reserved - open.settled AS reserved, spent + open.settled AS spent
  FROM ended, LATERAL (
       SELECT CAST(coalesce(sum(settled), 0) AS bigint) AS settled
         FROM reservations WHERE period_id = ended.id AND state = 'open') AS open
"""

_CALENDAR = """
SELECT anchor_at, anchor_term, former_anchor_at, former_anchor_term, credits,
       holdfast_license_now(id) AS now,
       holdfast_running_period(id) IS NOT NULL AS is_open
  FROM licenses WHERE id = :license_id
"""


def open_current(connection: Connection, license_id: str) -> bool:
    """Make sure that the license's running period is open; False before its start.

    Ends the periods before it, so that their rest expires first. Where the calendar's
    own was ended before its time, the next one runs.
    """
    row = connection.execute(text(_CALENDAR), {"license_id": license_id}).one()
    if row.is_open:
        return True
    period = _calendar(row).period_at(row.now)
    if period is None:
        return False
    end(connection, license_id=license_id)
    connection.execute(
        text(_OPEN),
        {
            "license_id": license_id,
            "starts_at": period.starts_at,
            "ends_at": period.ends_at,
            "credits": row.credits,
        },
    )
    return True


def _calendar(row: Row[Any]) -> Calendar:
    former = None
    if row.former_anchor_at is not None:
        former = Calendar(
            anchor_at=row.former_anchor_at, term=PaymentTerm(row.former_anchor_term)
        )
    term = PaymentTerm(row.anchor_term)
    return Calendar(anchor_at=row.anchor_at, term=term, former=former)


def end(
    connection: Connection,
    *,
    license_id: str | None = None,
    limit: int = 1000,
) -> int:
    """End the periods whose time is over and let what is available expire.

    Returns how many ended. What open reservations hold expires when they close. A
    clock that nobody has confirmed ends none.
    """
    ended = connection.execute(
        text(_END),
        {"license_id": license_id, "limit": limit},
    ).all()
    for period in ended:
        events.period_closed(
            connection,
            period.license_id,
            events.of_period(period.id, period.reopened),
            starts_at=period.starts_at,
            ends_at=period.ends_at,
            granted=period.granted,
            reserved=period.reserved,
            spent=period.spent,
            expired=period.expired,
        )
    return len(ended)


class ReopenResult(StrEnum):
    """What became of a period that was to run again."""

    REOPENED = "reopened"
    IS_OPEN = "is_open"
    NOT_FOUND = "not_found"
    IS_OVER = "is_over"
    IS_CLOSED = "is_closed"
    NEXT_WAS_USED = "next_was_used"


_WAS_USED = """
SELECT EXISTS (SELECT 1 FROM periods
                WHERE id = ANY (:later) AND ended_at IS NOT NULL)
    OR EXISTS (SELECT 1 FROM reservations WHERE period_id = ANY (:later))
    OR EXISTS (SELECT 1 FROM transfers
                WHERE period_id = ANY (:later)
                  AND kind NOT IN ('grant', 'expire', 'reopen'))
"""

_REOPEN = """
WITH again AS (
  UPDATE periods SET ended_at = NULL, expired = 0, reopened = reopened + 1
   WHERE id = :id AND ended_at IS NOT NULL
  RETURNING id, license_id, starts_at, ends_at, granted, reserved, spent, reopened),
moved AS (
  INSERT INTO transfers (license_id, period_id, kind, from_account, to_account, credits)
  SELECT license_id, id, 'reopen', 'expired', 'available', :expired
    FROM again WHERE :expired > 0)
SELECT again.id, starts_at, ends_at, granted, reopened,
       reserved - open.settled AS reserved, spent + open.settled AS spent
  FROM again, LATERAL (
       SELECT CAST(coalesce(sum(settled), 0) AS bigint) AS settled
         FROM reservations WHERE period_id = again.id AND state = 'open') AS open
"""


def reopen(
    connection: Connection, license_id: str, starts_at: datetime
) -> ReopenResult:
    """Let a period that was ended before its end run again, with all that expired.

    The same again changes nothing. The next period keeps what it was granted, which
    waits for its start; once it was used, nothing is taken back.
    """
    rows = connection.execute(
        text("""
            SELECT id, starts_at, ended_at, closed_at, expired,
                   ends_at <= (SELECT holdfast_now()) AS is_over
              FROM periods
             WHERE license_id = :license_id AND starts_at >= :starts_at
             ORDER BY id FOR NO KEY UPDATE"""),
        {"license_id": license_id, "starts_at": starts_at},
    ).all()
    wanted = next((row for row in rows if row.starts_at == starts_at), None)
    if wanted is None:
        return ReopenResult.NOT_FOUND
    if wanted.ended_at is None:
        return ReopenResult.IS_OPEN
    if wanted.closed_at is not None:
        return ReopenResult.IS_CLOSED
    if wanted.is_over:
        return ReopenResult.IS_OVER
    later = [row.id for row in rows if row is not wanted]
    # A statement of its own, for it must see what was done before the locks were had.
    if connection.execute(text(_WAS_USED), {"later": later}).scalar_one():
        return ReopenResult.NEXT_WAS_USED
    again = connection.execute(
        text(_REOPEN), {"id": wanted.id, "expired": wanted.expired}
    ).one()
    events.period_reopened(
        connection,
        license_id,
        events.of_period(again.id, again.reopened),
        starts_at=again.starts_at,
        ends_at=again.ends_at,
        granted=again.granted,
        reserved=again.reserved,
        spent=again.spent,
        available=wanted.expired,
    )
    return ReopenResult.REOPENED


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodRow:
    """A period with its counters, as its row has them."""

    starts_at: datetime
    ends_at: datetime
    granted: int
    reserved: int
    spent: int
    expired: int
    ended_at: datetime | None
    closed_at: datetime | None


def of_license(
    connection: Connection, license_id: str, *, before: datetime | None, limit: int
) -> list[PeriodRow]:
    """The periods of a license, the newest first, that start before an instant.

    What open reservations have settled counts as spent, as in the balance.
    """
    rows = connection.execute(
        text("""
            SELECT starts_at, ends_at, granted, reserved - open.settled AS reserved,
                   spent + open.settled AS spent, expired, ended_at,
                   closed_at
              FROM periods, LATERAL (
                   SELECT coalesce(sum(settled), 0)::bigint AS settled
                     FROM reservations
                    WHERE period_id = periods.id AND state = 'open') AS open
             WHERE license_id = :license_id
               AND (CAST(:before AS timestamptz) IS NULL OR starts_at < :before)
             ORDER BY starts_at DESC LIMIT :limit"""),
        {"license_id": license_id, "before": before, "limit": limit},
    )
    return [PeriodRow(**row) for row in rows.mappings()]


def change_term(connection: Connection, license_id: str, term: PaymentTerm) -> None:
    """Count periods by another term from the end of the last that is open.

    Before the license has started its calendar is simply another one. The running
    period must be open.
    """
    row = connection.execute(
        text(f"{_CALENDAR} FOR NO KEY UPDATE"), {"license_id": license_id}
    ).one()
    ends_at = connection.execute(
        text("""
            SELECT max(ends_at) FROM periods
             WHERE license_id = :license_id AND ends_at > holdfast_now()"""),
        {"license_id": license_id},
    ).scalar_one()
    changed = _calendar(row).with_term(term, ends_at)
    former = changed.former
    connection.execute(
        text("""
            UPDATE licenses
               SET anchor_at = :at, anchor_term = :term,
                   former_anchor_at = :former_at, former_anchor_term = :former_term
             WHERE id = :license_id"""),
        {
            "license_id": license_id,
            "at": changed.anchor_at,
            "term": changed.term.value,
            "former_at": former.anchor_at if former else None,
            "former_term": former.term.value if former else None,
        },
    )
