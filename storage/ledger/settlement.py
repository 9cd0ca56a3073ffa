"""Settlement: a batch's delivered claims become charges, in one statement.

`pricing.settlement` is the rule, this applies it. Every movement of credits is a
transfer between two accounts of a period (outside, available, spent, expired, and one
for each reservation). Settling touches the reservation alone; the period's counters
move at reserve, at release, and by what has no reservation. Locks are taken in one
order: entitlements (sorted), reservation, period. Functions take an open connection
and never commit.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError

from pricing.plans import Item
from storage.errors import Conflict, Superseded, is_violation


@dataclass(frozen=True, slots=True, kw_only=True)
class Payer:
    """For whom a batch settles, and since when something paid still frees it."""

    license_id: str
    period_id: int
    reservation_id: int
    job_id: str
    user_id: str
    cut: datetime
    views_count: bool


class Claim(NamedTuple):
    """One delivered claim, to settle at `credits`, or at 0 if paid meanwhile."""

    item: Item
    subject: str
    digest: str
    credits: int
    unchanged: bool = False
    provider: str | None = None
    """Who found what is charged for, where somebody had to."""


# A claim that was quoted above 0 is paid by whoever the entitlement's row says,
# decided inside DO UPDATE under the row's lock: never from an earlier read. An
# entitlement names its payer's charge, so the id of each possible charge is drawn
# before; it also names the charge that it was last settled as, and where that is
# not ours the claim has its line in this job already, and pays for nothing more.
# Looking lines up is left to claims that come back, and writing one needs no
# ON CONFLICT: both would cost a fifth of the speed, and the key stands behind them.
# Claims travel as JSON: psycopg writes arrays at a third of the speed.
_SETTLE = text("""
WITH moment AS MATERIALIZED (SELECT holdfast_now() AS at),
claim AS MATERIALIZED (
  SELECT item, subject, digest, CAST(credits AS integer) AS credits,
         provider, nextval('charges_id_seq') AS charge_id
    FROM ROWS FROM (json_array_elements_text(CAST(:items AS json)),
                    json_array_elements_text(CAST(:subjects AS json)),
                    json_array_elements_text(CAST(:digests AS json)),
                    json_array_elements_text(CAST(:credits AS json)),
                    json_array_elements_text(CAST(:providers AS json)))
         AS asked (item, subject, digest, credits, provider)),
entitled AS (
  INSERT INTO entitlements AS e
         (license_id, item, subject, digest, settled_as, paid_by, exported_at)
  SELECT :license_id, item, subject, digest, charge_id,
         CASE WHEN credits > 0 THEN charge_id END,
         CASE WHEN credits > 0 THEN at END
    FROM claim, moment
   ORDER BY item COLLATE "C", subject COLLATE "C", digest COLLATE "C"
  ON CONFLICT (license_id, item, subject, digest) DO UPDATE SET
    settled_as = CASE
      WHEN EXISTS (SELECT 1 FROM charges AS c
                    WHERE c.job_id = :job_id AND c.item = excluded.item
                      AND c.subject = excluded.subject AND c.digest = excluded.digest)
      THEN e.settled_as ELSE excluded.settled_as END,
    paid_by = CASE
      WHEN excluded.paid_by IS NULL THEN e.paid_by
      WHEN e.paid_by IS NOT NULL
       AND (e.exported_at >= :cut OR (:views_count AND e.viewed_at >= :cut))
      THEN e.paid_by
      WHEN EXISTS (SELECT 1 FROM charges AS c
                    WHERE c.job_id = :job_id AND c.item = excluded.item
                      AND c.subject = excluded.subject AND c.digest = excluded.digest)
      THEN e.paid_by
      ELSE excluded.paid_by END,
    exported_at = CASE
      WHEN e.paid_by IS NULL AND excluded.paid_by IS NULL THEN e.exported_at
      ELSE greatest(e.exported_at, (SELECT at FROM moment)) END
  RETURNING item, subject, digest, settled_as, paid_by),
charged AS (
  INSERT INTO charges (id, license_id, period_id, reservation_id, job_id, user_id,
                       item, subject, digest, credits, rule, paid_by, charged_at,
                       provider)
  SELECT charge_id, :license_id, :period_id, :reservation_id, :job_id, :user_id,
         item, subject, digest,
         CASE WHEN paid_by = charge_id THEN credits ELSE 0 END,
         CASE WHEN credits = 0 THEN 'free_as_quoted'
              WHEN paid_by = charge_id THEN 'price'
              ELSE 'paid_meanwhile' END,
         nullif(paid_by, charge_id), at, provider
    FROM moment, claim JOIN entitled USING (item, subject, digest)
   WHERE settled_as = charge_id
  RETURNING credits),
bill AS (SELECT coalesce(sum(credits), 0) AS credits FROM charged),
settled AS (
  UPDATE reservations AS r
     SET settled = r.settled + bill.credits,
         deadline_at = greatest(
           r.deadline_at, holdfast_now() + make_interval(secs => r.lifetime_s))
    FROM bill
   WHERE r.id = :reservation_id AND r.state = 'open'
  RETURNING bill.credits),
moved AS (
  INSERT INTO transfers (license_id, period_id, reservation_id, kind,
                         from_account, to_account, credits)
  SELECT :license_id, :period_id, :reservation_id, 'settle',
         'reservation', 'spent', credits
    FROM settled WHERE credits > 0)
SELECT credits FROM settled
""")

_LINE_KEY = "charges_job_id_item_subject_digest_key"


def settle(connection: Connection, payer: Payer, claims: Sequence[Claim]) -> int:
    """Charge a batch of delivered claims in one statement; return its credits.

    Repeating it charges nothing: a claim has one line in a job. Those that are
    unchanged are noted: `close` gives them their lines, for a later batch may send what
    this one did not have to. Raises `Superseded` where the reservation is closed, and
    `Conflict` where another batch of the job settled the same subject at this moment.
    """
    distinct = _distinct([claim for claim in claims if not claim.unchanged])
    parameters = {
        "license_id": payer.license_id,
        "period_id": payer.period_id,
        "reservation_id": payer.reservation_id,
        "job_id": payer.job_id,
        "user_id": payer.user_id,
        "cut": payer.cut,
        "views_count": payer.views_count,
        "items": json.dumps([claim.item.value for claim in distinct]),
        "subjects": json.dumps([claim.subject for claim in distinct]),
        "digests": json.dumps([claim.digest for claim in distinct]),
        "credits": json.dumps([claim.credits for claim in distinct]),
        "providers": json.dumps([claim.provider for claim in distinct]),
    }
    try:
        credits_ = connection.execute(_SETTLE, parameters).scalar_one_or_none()
    except IntegrityError as error:
        if is_violation(error, _LINE_KEY):
            raise Conflict("another batch of the job settled the same") from error
        raise
    if credits_ is None:
        raise Superseded(f"the reservation of job {payer.job_id} is closed")
    _note_unchanged(connection, payer.job_id, claims)
    return int(credits_)


def _note_unchanged(
    connection: Connection, job_id: str, claims: Sequence[Claim]
) -> None:
    noted = _distinct([claim for claim in claims if claim.unchanged])
    if not noted:
        return
    connection.execute(
        text("""
            INSERT INTO unchanged_claims (job_id, item, subject, digest)
            SELECT :job_id, c ->> 0, c ->> 1, c ->> 2
              FROM json_array_elements(CAST(:claims AS json)) AS c
            ON CONFLICT (job_id, item, subject, digest) DO NOTHING"""),
        {"job_id": job_id, "claims": json.dumps([claim[:3] for claim in noted])},
    )


def _distinct(claims: Sequence[Claim]) -> list[Claim]:
    """One of each item and subject, sorted: two batches never lock crosswise.

    What is claimed twice in a batch was quoted at one price.
    """
    merged: dict[tuple[str, str, str], Claim] = {}
    for claim in claims:
        merged.setdefault(claim[:3], claim)
    return [merged[key] for key in sorted(merged)]
