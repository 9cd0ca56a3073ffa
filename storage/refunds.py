"""Giving back a charge: once, in full, after its reservation has closed (rule 11)."""

from enum import StrEnum

from sqlalchemy import Connection, text


class RefundResult(StrEnum):
    """What became of a refund."""

    REFUNDED = "refunded"
    ALREADY_REFUNDED = "already_refunded"
    NOT_FOUND = "not_found"
    NOTHING_TO_REFUND = "nothing_to_refund"
    RESERVATION_OPEN = "reservation_open"


_FREE = text("""
UPDATE entitlements AS e SET paid_by = NULL, exported_at = NULL, viewed_at = NULL
  FROM charges AS c
 WHERE c.id = :charge_id AND e.paid_by = c.id AND e.license_id = c.license_id
   AND e.item = c.item AND e.subject = c.subject AND e.digest = c.digest
""")

_REFUND = text("""
WITH refund AS (
  SELECT license_id, period_id, credits FROM refunds WHERE charge_id = :charge_id),
period AS (
  UPDATE periods AS p
     SET spent = p.spent - refund.credits,
         expired = p.expired
                 + CASE WHEN p.ended_at IS NULL THEN 0 ELSE refund.credits END
    FROM refund WHERE p.id = refund.period_id
  RETURNING p.ended_at),
moved AS (
  INSERT INTO transfers (license_id, period_id, kind, from_account, to_account,
                         credits, reference)
  SELECT license_id, period_id, 'refund', 'spent', 'available', credits,
         'charge ' || CAST(:charge_id AS bigint)
    FROM refund
  RETURNING license_id, period_id, credits)
INSERT INTO transfers (license_id, period_id, kind, from_account, to_account, credits)
SELECT license_id, period_id, 'expire', 'available', 'expired', credits
  FROM moved, period WHERE ended_at IS NOT NULL
""")


def refund(connection: Connection, charge_id: int, reason: str) -> RefundResult:
    """Give one charge back, once and in full, after its reservation has closed.

    Its subject is not free any more where no later charge has paid for it; lines
    that were free on it stay so. For an ended period the credits expire at once.
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
    created = connection.execute(
        text("""
            INSERT INTO refunds (charge_id, license_id, period_id, job_id, credits,
                                 reason, refunded_at)
            SELECT id, license_id, period_id, job_id, credits, :reason, holdfast_now()
              FROM charges WHERE id = :charge_id
            ON CONFLICT (charge_id) DO NOTHING RETURNING charge_id"""),
        {"charge_id": charge_id, "reason": reason},
    ).one_or_none()
    if created is None:
        return RefundResult.ALREADY_REFUNDED
    # Entitlement before period, as settling and closing lock them.
    connection.execute(_FREE, {"charge_id": charge_id})
    connection.execute(_REFUND, {"charge_id": charge_id})
    return RefundResult.REFUNDED


def free_on(connection: Connection, charge_id: int) -> list[int]:
    """The charges that were free because this one had paid; a refund leaves them so."""
    rows = connection.execute(
        text("SELECT id FROM charges WHERE paid_by = :charge_id ORDER BY id LIMIT 500"),
        {"charge_id": charge_id},
    )
    return list(rows.scalars())
