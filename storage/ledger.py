"""Double entry for credits: grant, reserve, settle, close, balance.

Every movement is a transfer between two accounts of a period (outside, available,
spent, expired, and one for each reservation). Settling touches the reservation
alone; the period's counters move at reserve, at close, and by what has no
reservation. Locks are taken in one order: entitlements (sorted), reservation,
period. Functions take an open connection and never commit.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError

from pricing.plans import Item
from storage.errors import Conflict, Superseded, is_violation


class GrantResult(StrEnum):
    """What became of a grant."""

    CREATED = "created"
    EXISTS = "exists"
    EXISTS_WITH_DIFFERENT_AMOUNT = "exists_with_different_amount"
    NO_RUNNING_PERIOD = "no_running_period"


class ReserveResult(StrEnum):
    """What became of a reservation."""

    CREATED = "created"
    EXISTS = "exists"
    EXISTS_WITH_DIFFERENT_AMOUNT = "exists_with_different_amount"
    NO_RUNNING_PERIOD = "no_running_period"
    INSUFFICIENT_CREDITS = "insufficient_credits"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """The credits set aside for one job: `settled + released` never exceed `amount`."""

    id: int
    license_id: str
    period_id: int
    job_id: str
    state: str
    amount: int
    settled: int
    released: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """A period's credits as people see them, from one snapshot.

    What open reservations have settled counts as spent here, not as reserved.
    """

    starts_at: datetime
    ends_at: datetime
    granted: int
    reserved: int
    spent: int
    expired: int

    @property
    def available(self) -> int:
        """What a new job may still reserve."""
        return self.granted - self.reserved - self.spent - self.expired


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


_RUNNING_PERIOD = """
license_id = :license_id AND ended_at IS NULL
AND starts_at <= holdfast_now() AND holdfast_now() < ends_at
"""


def grant(
    connection: Connection,
    license_id: str,
    credits_added: int,
    reference: str,
) -> GrantResult:
    """Add credits to the running period, once for each reference of the license."""
    parameters = {
        "license_id": license_id,
        "credits": credits_added,
        "reference": reference,
    }
    period_id = connection.execute(
        text(f"SELECT id FROM periods WHERE {_RUNNING_PERIOD}"),  # noqa: S608 - a constant
        parameters,
    ).scalar_one_or_none()
    if period_id is None:
        return GrantResult.NO_RUNNING_PERIOD
    created = connection.execute(
        text("""
            INSERT INTO transfers (license_id, period_id, kind, from_account,
                                   to_account, credits, reference)
            VALUES (:license_id, :period_id, 'grant', 'outside',
                    'available', :credits, :reference)
            ON CONFLICT (license_id, reference) WHERE kind = 'grant' DO NOTHING
            RETURNING id"""),
        {**parameters, "period_id": period_id},
    ).scalar_one_or_none()
    if created is None:
        return _granted_before(connection, parameters)
    moved = connection.execute(
        text("""
            UPDATE periods SET granted = granted + :credits
             WHERE id = :period_id AND ended_at IS NULL"""),
        {"credits": credits_added, "period_id": period_id},
    )
    if moved.rowcount != 1:
        raise Conflict("the period ended while credits were granted")
    return GrantResult.CREATED


def _granted_before(
    connection: Connection,
    parameters: dict[str, object],
) -> GrantResult:
    same = connection.execute(
        text("""
            SELECT credits = :credits FROM transfers
             WHERE license_id = :license_id AND reference = :reference
               AND kind = 'grant'"""),
        parameters,
    ).scalar_one()
    return GrantResult.EXISTS if same else GrantResult.EXISTS_WITH_DIFFERENT_AMOUNT


_RESERVE = f"""
WITH period AS (
  UPDATE periods SET reserved = reserved + :amount
   WHERE {_RUNNING_PERIOD}
     AND granted - reserved - spent - expired >= :amount
  RETURNING id),
reservation AS (
  INSERT INTO reservations (license_id, period_id, job_id, amount, lifetime_s,
                            deadline_at)
  SELECT :license_id, id, :job_id, :amount, :lifetime_s,
         holdfast_now() + make_interval(secs => :lifetime_s)
    FROM period
  RETURNING id, period_id),
moved AS (
  INSERT INTO transfers (license_id, period_id, reservation_id, kind,
                         from_account, to_account, credits)
  SELECT :license_id, period_id, id, 'reserve', 'available', 'reservation', :amount
    FROM reservation WHERE :amount > 0)
SELECT id FROM reservation
"""  # noqa: S608 - constants only


def reserve(
    connection: Connection,
    license_id: str,
    job_id: str,
    amount: int,
    *,
    lifetime_s: float,
) -> ReserveResult:
    """Set credits of the running period aside for one job; 0 is a legal amount.

    The reservation's deadline lies `lifetime_s` ahead and moves with each settling.
    """
    existing = reservation_of(connection, job_id)
    if existing is not None:
        if existing.license_id == license_id and existing.amount == amount:
            return ReserveResult.EXISTS
        return ReserveResult.EXISTS_WITH_DIFFERENT_AMOUNT
    parameters = {
        "license_id": license_id,
        "job_id": job_id,
        "amount": amount,
        "lifetime_s": lifetime_s,
    }
    created = connection.execute(text(_RESERVE), parameters).one_or_none()
    if created is not None:
        return ReserveResult.CREATED
    running = connection.execute(
        text(f"SELECT 1 FROM periods WHERE {_RUNNING_PERIOD}"),  # noqa: S608 - a constant
        {"license_id": license_id},
    ).one_or_none()
    if running is None:
        return ReserveResult.NO_RUNNING_PERIOD
    return ReserveResult.INSUFFICIENT_CREDITS


def reservation_of(connection: Connection, job_id: str) -> Reservation | None:
    """The reservation of a job, if it has one."""
    found = connection.execute(
        text("""
            SELECT id, license_id, period_id, job_id, state, amount, settled, released
              FROM reservations WHERE job_id = :job_id"""),
        {"job_id": job_id},
    )
    row = found.mappings().one_or_none()
    return None if row is None else Reservation(**row)


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


# Rule 5: what the job has delivered without sending anything has its line too, unless
# another record of the job has sent it.
_UNCHANGED_LINES = text("""
WITH noted AS (
  DELETE FROM unchanged_claims WHERE job_id = :job_id
  RETURNING item, subject, digest)
INSERT INTO charges (id, license_id, period_id, reservation_id, job_id, user_id, item,
                     subject, digest, credits, rule, charged_at)
SELECT nextval('charges_id_seq'), r.license_id, r.period_id, r.id, j.id, j.user_id,
       n.item, n.subject, n.digest, 0, 'unchanged', holdfast_now()
  FROM noted AS n
  JOIN jobs AS j ON j.id = :job_id
  JOIN reservations AS r ON r.job_id = j.id AND r.state = 'open'
 WHERE NOT EXISTS (SELECT 1 FROM charges AS c
                    WHERE c.job_id = j.id AND c.item = n.item
                      AND c.subject = n.subject AND c.digest = n.digest)
 ORDER BY n.item, n.subject, n.digest
""")


_CLOSE = """
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
"""


def close(connection: Connection, job_id: str) -> Reservation | None:
    """Release what a job did not use; None where it was closed before, or never was.

    What an ended period gets back expires at once. Only completion may call this.
    """
    connection.execute(_UNCHANGED_LINES, {"job_id": job_id})
    closed = connection.execute(text(_CLOSE), {"job_id": job_id})
    row = closed.mappings().one_or_none()
    return None if row is None else Reservation(**row)


def balance(connection: Connection, license_id: str) -> Balance | None:
    """The running period's credits, or None where no period is open and running."""
    found = connection.execute(
        text(f"""
            SELECT starts_at, ends_at, granted, expired,
                   reserved - open.settled AS reserved, spent + open.settled AS spent
              FROM periods, LATERAL (
                   SELECT coalesce(sum(settled), 0)::bigint AS settled
                     FROM reservations
                    WHERE period_id = periods.id AND state = 'open') AS open
             WHERE {_RUNNING_PERIOD}"""),  # noqa: S608 - a constant
        {"license_id": license_id},
    )
    row = found.mappings().one_or_none()
    return None if row is None else Balance(**row)
