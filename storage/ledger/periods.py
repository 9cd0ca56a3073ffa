"""License periods: whoever first needs one opens it; what is left at its end expires.

Opening is unique by license and start, so any number may try at once, also after a
week in which nothing ran.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from pricing.periods import period_at
from pricing.plans import PaymentTerm
from storage.webhooks import events

RUNNING_PERIOD = """
license_id = :license_id AND ended_at IS NULL
AND starts_at <= holdfast_now() AND holdfast_now() < ends_at
"""
"""Which of a license's periods runs now; credits are moved in no other."""

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
     SET ended_at = holdfast_now(), expired = granted - reserved - spent
   WHERE ended_at IS NULL AND ends_at <= holdfast_now()
     AND id IN (SELECT id FROM periods
                 WHERE ended_at IS NULL AND ends_at <= holdfast_now()
                   AND (CAST(:license_id AS text) IS NULL OR license_id = :license_id)
                 ORDER BY id LIMIT :limit)
  RETURNING id, license_id, starts_at, ends_at, granted, reserved, spent, expired),
moved AS (
  INSERT INTO transfers (license_id, period_id, kind, from_account, to_account, credits)
  SELECT license_id, id, 'expire', 'available', 'expired', expired
    FROM ended WHERE expired > 0)
SELECT ended.id, license_id, starts_at, ends_at, granted, expired,
       reserved - open.settled AS reserved, spent + open.settled AS spent
  FROM ended, LATERAL (
       SELECT CAST(coalesce(sum(settled), 0) AS bigint) AS settled
         FROM reservations WHERE period_id = ended.id AND state = 'open') AS open
"""


def open_current(connection: Connection, license_id: str) -> bool:
    """Make sure that the license's running period is open; False before its start.

    Ends the periods before it, so that their rest expires first.
    """
    row = connection.execute(
        text("""
            SELECT anchor_at, anchor_term, credits, holdfast_now() AS now,
                   EXISTS (SELECT 1 FROM periods
                            WHERE license_id = licenses.id AND ended_at IS NULL
                              AND starts_at <= holdfast_now()
                              AND holdfast_now() < ends_at) AS is_open
              FROM licenses WHERE id = :license_id"""),
        {"license_id": license_id},
    ).one()
    if row.is_open:
        return True
    period = period_at(row.anchor_at, PaymentTerm(row.anchor_term), row.now)
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


def end(
    connection: Connection,
    *,
    license_id: str | None = None,
    limit: int = 1000,
) -> int:
    """End the periods whose time is over and let what is available expire.

    Returns how many ended. What open reservations hold expires when they close.
    """
    ended = connection.execute(
        text(_END),
        {"license_id": license_id, "limit": limit},
    ).all()
    for period in ended:
        events.period_closed(
            connection,
            period.license_id,
            period.id,
            starts_at=period.starts_at,
            ends_at=period.ends_at,
            granted=period.granted,
            reserved=period.reserved,
            spent=period.spent,
            expired=period.expired,
        )
    return len(ended)


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


def of_license(
    connection: Connection, license_id: str, *, before: datetime | None, limit: int
) -> list[PeriodRow]:
    """The periods of a license, the newest first, that start before an instant.

    What open reservations have settled counts as spent, as in the balance.
    """
    rows = connection.execute(
        text("""
            SELECT starts_at, ends_at, granted, reserved - open.settled AS reserved,
                   spent + open.settled AS spent, expired, ended_at
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
    """Count periods by another term from the end of the one that runs now.

    Before the license has started its calendar is simply another one. The running
    period must be open.
    """
    connection.execute(
        text("""
            UPDATE licenses AS l
               SET anchor_term = :term,
                   anchor_at = coalesce(
                     (SELECT ends_at FROM periods
                       WHERE license_id = l.id AND starts_at <= holdfast_now()
                         AND holdfast_now() < ends_at), l.anchor_at)
             WHERE id = :license_id AND anchor_term <> :term"""),
        {"license_id": license_id, "term": term.value},
    )
