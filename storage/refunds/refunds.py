"""Giving back charges: once, in full, after their reservation has closed (rule 11)."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from sqlalchemy import Connection, text

from storage.errors import Conflict
from storage.ledger import entitlements


class RefundResult(StrEnum):
    """What became of a charge that was to be given back."""

    REFUNDED = "refunded"
    ALREADY_REFUNDED = "already_refunded"
    NOT_FOUND = "not_found"
    NOTHING_TO_REFUND = "nothing_to_refund"
    RESERVATION_OPEN = "reservation_open"
    WAITS_FOR_APPROVAL = "waits_for_approval"
    """Another credit note is to give it back, and waits for a second person."""


class RefusedCharge(NamedTuple):
    """A charge that cannot be given back, and why."""

    charge_id: int
    why: RefundResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Refundable:
    """Charges as they stand while their entitlements are locked."""

    charge_ids: list[int]
    """Those that can be given back."""
    credits: int
    """Of these."""
    waiting: list[RefusedCharge]
    """Those of them that another credit note waits to give back: they wait in no
    second one."""
    refused: list[RefusedCharge]


_LOOK = text("""
SELECT asked.id, c.credits, w.charge_id IS NOT NULL AS waits,
       CASE WHEN c.id IS NULL THEN 'not_found'
            WHEN c.credits = 0 THEN 'nothing_to_refund'
            WHEN r.state = 'open' AND NOT :closes THEN 'reservation_open'
            WHEN back.charge_id IS NOT NULL THEN 'already_refunded' END AS why
  FROM (SELECT DISTINCT unnest(CAST(:charge_ids AS bigint[])) AS id) AS asked
  LEFT JOIN charges AS c ON c.id = asked.id
  LEFT JOIN reservations AS r ON r.id = c.reservation_id
  LEFT JOIN refunds AS back ON back.charge_id = c.id
  LEFT JOIN credit_note_charges AS w
    ON w.charge_id = c.id AND w.state = 'awaiting_approval'
 ORDER BY asked.id
""")


def look(
    connection: Connection, charge_ids: Sequence[int], *, closes: bool = False
) -> Refundable:
    """What of these charges can be given back.

    With `closes` their reservations count as closed: the caller is about to.
    """
    rows = connection.execute(_LOOK, {"charge_ids": list(charge_ids), "closes": closes})
    fit: list[int] = []
    waiting: list[RefusedCharge] = []
    refused: list[RefusedCharge] = []
    total = 0
    for charge_id, credits_, waits, why in rows:
        if why is not None:
            refused.append(RefusedCharge(charge_id, RefundResult(why)))
            continue
        fit.append(charge_id)
        total += credits_
        if waits:
            waits_for = RefundResult.WAITS_FOR_APPROVAL
            waiting.append(RefusedCharge(charge_id, waits_for))
    return Refundable(charge_ids=fit, credits=total, waiting=waiting, refused=refused)


def lock(
    connection: Connection, charge_ids: Sequence[int], *, closes: bool = False
) -> Refundable:
    """The same, with the entitlements held of all that these charges paid for.

    Whoever gives one of them back waits for that, so what is found stays so.
    """
    entitlements.lock_all_of(connection, charge_ids)
    return look(connection, charge_ids, closes=closes)


def paid_charges(connection: Connection, job_id: str) -> list[int]:
    """The charges of a job that cost something and have not been given back."""
    rows = connection.execute(
        text("""
            SELECT id FROM charges AS c
             WHERE job_id = :job_id AND credits > 0
               AND NOT EXISTS (SELECT 1 FROM refunds WHERE charge_id = c.id)
             ORDER BY id"""),
        {"job_id": job_id},
    )
    return list(rows.scalars())


_NOTE = text("""
INSERT INTO refunds (charge_id, license_id, period_id, job_id, credits, reason,
                     refunded_at, credit_note_id)
SELECT id, license_id, period_id, job_id, credits, :reason, holdfast_now(),
       :credit_note_id
  FROM charges WHERE id = ANY (CAST(:charge_ids AS bigint[])) ORDER BY id
ON CONFLICT (charge_id) DO NOTHING
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


def book(
    connection: Connection,
    credit_note_id: int,
    charge_ids: Sequence[int],
    reason: str | None,
) -> None:
    """Give charges back that `lock` found to be refundable, by a credit note.

    Their subjects stay free as far as other charges carry them; lines that were free
    on them stay so. For an ended period the credits expire at once. What their
    entitlements are is read once the refunds stand, by a statement that sees all that
    was waited for.
    """
    noted = connection.execute(
        _NOTE,
        {
            "charge_ids": list(charge_ids),
            "reason": reason or "",
            "credit_note_id": credit_note_id,
        },
    )
    if noted.rowcount != len(charge_ids):
        raise Conflict("a charge was given back at the same moment")
    entitlements.recompute(connection, charge_ids)
    connection.execute(_REFUND, {"charge_ids": list(charge_ids)})


@dataclass(frozen=True, slots=True)
class FreeOn:
    """What was free because charges had paid; a refund leaves all of it so."""

    charges: list[int]
    quotes: list[str]
    """Those that still make a job."""
    jobs: list[str]
    """Those under way, as their quote said."""


_FREE_CHARGES = """
SELECT id FROM charges
 WHERE paid_by = ANY (CAST(:charge_ids AS bigint[])) ORDER BY id LIMIT 500
"""

_PAYERS = """
(SELECT c.license_id, range_agg(int8range(c.id, c.id, '[]')) AS ids
   FROM charges AS c WHERE c.id = ANY (CAST(:charge_ids AS bigint[]))
  GROUP BY c.license_id) AS payers
"""

_FREE_QUOTES = f"""
SELECT q.id FROM {_PAYERS} JOIN quotes AS q USING (license_id)
 WHERE q.free_on && payers.ids AND q.expires_at > holdfast_now()
   AND NOT EXISTS (SELECT 1 FROM jobs WHERE quote_id = q.id)
 ORDER BY q.quoted_at, q.id LIMIT 500
"""  # noqa: S608 - constants only

_FREE_JOBS = f"""
SELECT j.id FROM {_PAYERS} JOIN quotes AS q USING (license_id)
  JOIN jobs AS j ON j.quote_id = q.id
 WHERE q.free_on && payers.ids AND j.finished_at IS NULL
 ORDER BY j.created_at, j.id LIMIT 500
"""  # noqa: S608 - constants only


def free_on(connection: Connection, charge_ids: Sequence[int]) -> FreeOn:
    """The first 500 of each kind that are free on these charges."""
    charges, quotes, jobs = (
        list(
            connection.execute(text(query), {"charge_ids": list(charge_ids)}).scalars()
        )
        for query in (_FREE_CHARGES, _FREE_QUOTES, _FREE_JOBS)
    )
    return FreeOn(charges, quotes, jobs)
