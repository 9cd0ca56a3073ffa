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


_LOCK = text("""
SELECT 1 FROM entitlements AS e JOIN charges AS c ON e.paid_by = c.id
 WHERE c.id = ANY (CAST(:charge_ids AS bigint[]))
 ORDER BY e.license_id, e.item, e.subject COLLATE "C", e.digest COLLATE "C"
   FOR NO KEY UPDATE OF e
""")

_FREE = text("""
UPDATE entitlements AS e SET paid_by = NULL, exported_at = NULL, viewed_at = NULL
  FROM charges AS c
 WHERE c.id = ANY (CAST(:charge_ids AS bigint[]))
   AND e.paid_by = c.id AND e.license_id = c.license_id
   AND e.item = c.item AND e.subject = c.subject AND e.digest = c.digest
""")

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
    if not _note(connection, [charge_id], reason):
        return RefundResult.ALREADY_REFUNDED
    # Entitlement before period, as settling and closing lock them.
    connection.execute(_FREE, {"charge_ids": [charge_id]})
    connection.execute(_REFUND, {"charge_ids": [charge_id]})
    return RefundResult.REFUNDED


def lock_paid_by(connection: Connection, job_id: str) -> list[int]:
    """The paid charges of a job that settles no more; what they paid for is locked.

    `refund_all` gives them back. In between the reservation is closed: entitlements
    are locked before it.
    """
    rows = connection.execute(
        text("SELECT id FROM charges WHERE job_id = :job_id AND credits > 0"),
        {"job_id": job_id},
    )
    charge_ids = list(rows.scalars())
    connection.execute(_LOCK, {"charge_ids": charge_ids})
    return charge_ids


def refund_all(connection: Connection, charge_ids: list[int], reason: str) -> None:
    """Give many charges of one closed reservation back, as `refund` does one."""
    given = _note(connection, charge_ids, reason)
    connection.execute(_FREE, {"charge_ids": given})
    connection.execute(_REFUND, {"charge_ids": given})


def _note(connection: Connection, charge_ids: list[int], reason: str) -> list[int]:
    """Write down what is given back; return what had not been given back before."""
    noted = connection.execute(_NOTE, {"charge_ids": charge_ids, "reason": reason})
    return list(noted.scalars())


def free_on(connection: Connection, charge_id: int) -> list[int]:
    """The charges that were free because this one had paid; a refund leaves them so."""
    rows = connection.execute(
        text("SELECT id FROM charges WHERE paid_by = :charge_id ORDER BY id LIMIT 500"),
        {"charge_id": charge_id},
    )
    return list(rows.scalars())
