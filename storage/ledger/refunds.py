"""Giving back a charge: once, in full, after its reservation has closed (rule 11)."""

from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, text

from storage.ledger import entitlements


class RefundResult(StrEnum):
    """What became of a refund."""

    REFUNDED = "refunded"
    ALREADY_REFUNDED = "already_refunded"
    NOT_FOUND = "not_found"
    NOTHING_TO_REFUND = "nothing_to_refund"
    RESERVATION_OPEN = "reservation_open"


_NOTE = text("""
INSERT INTO refunds (charge_id, license_id, period_id, job_id, credits, reason,
                     refunded_at)
SELECT id, license_id, period_id, job_id, credits, :reason, holdfast_now()
  FROM charges WHERE id = ANY (CAST(:charge_ids AS bigint[])) ORDER BY id
ON CONFLICT (charge_id) DO NOTHING RETURNING charge_id
""")

_REFUND = text("""
WITH given AS (
  SELECT charge_id, license_id, period_id, credits FROM refunds
   WHERE charge_id = ANY (CAST(:charge_ids AS bigint[]))),
period AS (
  UPDATE periods AS p
     SET spent = p.spent - total.credits,
         expired = p.expired
                 + CASE WHEN p.ended_at IS NULL THEN 0 ELSE total.credits END
    FROM (SELECT period_id, CAST(sum(credits) AS bigint) AS credits
            FROM given GROUP BY period_id) AS total
   WHERE total.period_id = p.id
  RETURNING p.id, p.ended_at),
moved AS (
  INSERT INTO transfers (license_id, period_id, kind, from_account, to_account,
                         credits, reference)
  SELECT license_id, period_id, 'refund', 'spent', 'available', credits,
         'charge ' || charge_id
    FROM given ORDER BY charge_id
  RETURNING license_id, period_id, credits)
INSERT INTO transfers (license_id, period_id, kind, from_account, to_account, credits)
SELECT license_id, period_id, 'expire', 'available', 'expired', credits
  FROM moved JOIN period ON period.id = moved.period_id WHERE ended_at IS NOT NULL
""")


def refund(connection: Connection, charge_id: int, reason: str) -> RefundResult:
    """Give one charge back, once and in full, after its reservation has closed.

    Its subject stays free as far as other charges carry it; lines that were free on
    this one stay so. For an ended period the credits expire at once.
    """
    charge = connection.execute(
        text("""
            SELECT c.credits, r.state FROM charges AS c
              LEFT JOIN reservations AS r ON r.id = c.reservation_id
             WHERE c.id = :charge_id"""),
        {"charge_id": charge_id},
    ).one_or_none()
    if charge is None:
        return RefundResult.NOT_FOUND
    if charge.credits == 0:
        return RefundResult.NOTHING_TO_REFUND
    if charge.state == "open":
        return RefundResult.RESERVATION_OPEN
    # Entitlement before period, as settling and closing lock them.
    entitlements.lock_all_of(connection, [charge_id])
    if not refund_all(connection, [charge_id], reason):
        return RefundResult.ALREADY_REFUNDED
    return RefundResult.REFUNDED


def lock_paid(connection: Connection, job_id: str) -> list[int]:
    """The paid charges of a job that settles no more; what they paid for is locked.

    `refund_all` gives them back. In between the reservation is closed: entitlements
    are locked before it.
    """
    rows = connection.execute(
        text("SELECT id FROM charges WHERE job_id = :job_id AND credits > 0"),
        {"job_id": job_id},
    )
    charge_ids = list(rows.scalars())
    entitlements.lock_all_of(connection, charge_ids)
    return charge_ids


def refund_all(connection: Connection, charge_ids: list[int], reason: str) -> list[int]:
    """Give charges of closed reservations back, whose entitlements are locked.

    Returns those that had not been given back before. What their entitlements are is
    read once the refunds stand, by a statement that sees all that was waited for.
    """
    noted = connection.execute(_NOTE, {"charge_ids": charge_ids, "reason": reason})
    given = list(noted.scalars())
    if given:
        entitlements.recompute(connection, given)
        connection.execute(_REFUND, {"charge_ids": given})
    return given


@dataclass(frozen=True, slots=True)
class FreeOn:
    """What was free because a charge had paid; a refund leaves all of it so."""

    charges: list[int]
    quotes: list[str]
    """Those that still make a job."""
    jobs: list[str]
    """Those under way, as their quote said."""


_FREE_CHARGES = """
SELECT id FROM charges WHERE paid_by = :charge_id ORDER BY id LIMIT 500
"""

_FREE_QUOTES = """
SELECT q.id FROM quotes AS q
  JOIN charges AS c ON c.id = :charge_id AND c.license_id = q.license_id
 WHERE q.free_on @> c.id AND q.expires_at > holdfast_now()
   AND NOT EXISTS (SELECT 1 FROM jobs WHERE quote_id = q.id)
 ORDER BY q.quoted_at, q.id LIMIT 500
"""

_FREE_JOBS = """
SELECT j.id FROM jobs AS j
  JOIN quotes AS q ON q.id = j.quote_id
  JOIN charges AS c ON c.id = :charge_id AND c.license_id = q.license_id
 WHERE q.free_on @> c.id AND j.finished_at IS NULL
 ORDER BY j.created_at, j.id LIMIT 500
"""


def free_on(connection: Connection, charge_id: int) -> FreeOn:
    """The first 500 of each kind that are free on a charge."""
    charges, quotes, jobs = (
        list(connection.execute(text(query), {"charge_id": charge_id}).scalars())
        for query in (_FREE_CHARGES, _FREE_QUOTES, _FREE_JOBS)
    )
    return FreeOn(charges, quotes, jobs)
