"""Release: the reservation of a job is closed, and what it did not use goes back."""

from sqlalchemy import Connection, text

from storage.ledger.reservations import Reservation

# Rule 5: what the job has delivered without sending anything has its line too, unless
# another record of the job has sent it.
_UNCHANGED_LINES = text("""
WITH noted AS (
  DELETE FROM unchanged_claims WHERE job_id = :job_id
  RETURNING item, subject, digest)
INSERT INTO charges (id, license_id, period_id, reservation_id, job_id, user_id, item,
                     subject, digest, credits, rule, charged_at)
SELECT nextval('charges_id_seq'), r.license_id, r.period_id, r.id, j.id, j.user_id,
       n.item, n.subject, n.digest, 0, 'unchanged', (SELECT holdfast_now())
  FROM noted AS n
  JOIN jobs AS j ON j.id = :job_id
  JOIN reservations AS r ON r.job_id = j.id AND r.state = 'open'
 WHERE NOT EXISTS (SELECT 1 FROM charges AS c
                    WHERE c.job_id = j.id AND c.item = n.item
                      AND c.subject = n.subject AND c.digest = n.digest)
 ORDER BY n.item, n.subject, n.digest
""")


_CLOSE = text("""
WITH closed AS (
  UPDATE reservations
     SET state = 'closed', released = amount - settled, closed_at = holdfast_now()
   WHERE job_id = :job_id AND state = 'open'
  RETURNING id, license_id, period_id, job_id, state, amount, settled, released),
period AS (
  UPDATE periods AS p
     SET reserved = p.reserved - closed.amount,
         spent = p.spent + closed.settled,
         expired = p.expired
                 + CASE WHEN p.ended_at IS NULL THEN 0 ELSE closed.released END
    FROM closed WHERE p.id = closed.period_id
  RETURNING p.ended_at),
released AS (
  INSERT INTO transfers (license_id, period_id, reservation_id, kind,
                         from_account, to_account, credits)
  SELECT license_id, period_id, id, 'release', 'reservation', 'available', released
    FROM closed WHERE released > 0
  RETURNING license_id, period_id, credits),
expired AS (
  INSERT INTO transfers (license_id, period_id, kind, from_account, to_account, credits)
  SELECT license_id, period_id, 'expire', 'available', 'expired', credits
    FROM released, period WHERE ended_at IS NOT NULL)
SELECT * FROM closed
""")


def close(connection: Connection, job_id: str) -> Reservation | None:
    """Release what a job did not use; None where it was closed before, or never was.

    What an ended period gets back expires at once. Only completion may call this.
    """
    connection.execute(_UNCHANGED_LINES, {"job_id": job_id})
    closed = connection.execute(_CLOSE, {"job_id": job_id})
    row = closed.mappings().one_or_none()
    return None if row is None else Reservation(**row)
