"""Viewing a company under terms that charge for it: one statement, at once.

The entitlement's row arbitrates, as for a batch: whether the license has paid within
the window is decided under its lock. A view has no reservation, so what it costs
moves from available to spent in the period's row.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from pricing.settlement import FreeBecause


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What is to be viewed, for whom, at which price, and since when a use frees it."""

    id: str
    license_id: str
    user_id: str
    company_id: str
    credits: int
    free_since: datetime


@dataclass(frozen=True, slots=True)
class Booked:
    """What a view cost, and why nothing if so."""

    credits: int
    free_because: FreeBecause | None


_ENTITLE = text("""
WITH claim AS MATERIALIZED (
  SELECT nextval('charges_id_seq') AS charge_id, holdfast_now() AS at),
entitled AS (
  INSERT INTO entitlements AS e
         (license_id, item, subject, digest, settled_as, paid_by, viewed_at)
  SELECT :license_id, 'company', :company_id, '', charge_id, charge_id, at FROM claim
  ON CONFLICT (license_id, item, subject, digest) DO UPDATE SET
    settled_as = excluded.settled_as,
    paid_by = CASE WHEN e.paid_by IS NOT NULL
                    AND (e.exported_at >= :free_since OR e.viewed_at >= :free_since)
                   THEN e.paid_by ELSE excluded.paid_by END,
    viewed_at = greatest(e.viewed_at, excluded.viewed_at)
  RETURNING paid_by, exported_at)
SELECT charge_id, at, paid_by, coalesce(exported_at >= :free_since, false) AS exported
  FROM claim, entitled
""")

_SPEND = text("""
UPDATE periods SET spent = spent + :credits
 WHERE license_id = :license_id AND ended_at IS NULL
   AND starts_at <= holdfast_now() AND holdfast_now() < ends_at
   AND granted - reserved - spent - expired >= :credits
RETURNING id
""")

_CHARGE = text("""
WITH moved AS (
  INSERT INTO transfers (license_id, period_id, kind, from_account, to_account, credits)
  SELECT :license_id, :period_id, 'view', 'available', 'spent', :credits
   WHERE :credits > 0)
INSERT INTO charges (id, license_id, period_id, view_id, user_id, item, subject, digest,
                     credits, rule, paid_by, charged_at, free_since)
VALUES (:charge_id, :license_id, :period_id, :view_id, :user_id, 'company', :company_id,
        '', :credits, :rule, :paid_by, :at, :free_since)
""")


def book(connection: Connection, view: View) -> Booked | None:
    """Charge a view, or book it at 0 where the company is free by now.

    None where the credits do not suffice, as before the license starts; then the
    caller rolls back.
    """
    parameters = {
        "license_id": view.license_id,
        "company_id": view.company_id,
        "free_since": view.free_since,
    }
    claim = connection.execute(_ENTITLE, parameters).one()
    pays = claim.paid_by == claim.charge_id
    credits_ = view.credits if pays else 0
    period_id = connection.execute(
        _SPEND, {"license_id": view.license_id, "credits": credits_}
    ).scalar_one_or_none()
    if period_id is None:
        return None
    connection.execute(
        _CHARGE,
        parameters
        | {
            "charge_id": claim.charge_id,
            "period_id": period_id,
            "view_id": view.id,
            "user_id": view.user_id,
            "credits": credits_,
            "rule": "price" if pays else "paid_meanwhile",
            "paid_by": None if pays else claim.paid_by,
            "at": claim.at,
        },
    )
    if pays:
        return Booked(credits_, None)
    because = FreeBecause.EXPORTED if claim.exported else FreeBecause.VIEWED
    return Booked(0, because)


def of_id(connection: Connection, view_id: str, free_since: datetime) -> Booked | None:
    """A view as it was booked; None where there is none of this id."""
    row = connection.execute(
        text("""
            SELECT c.credits, e.exported_at >= :free_since AS exported
              FROM charges AS c LEFT JOIN entitlements AS e
                ON e.license_id = c.license_id AND e.item = c.item
               AND e.subject = c.subject AND e.digest = c.digest
             WHERE c.view_id = :view_id"""),
        {"view_id": view_id, "free_since": free_since},
    ).one_or_none()
    if row is None:
        return None
    if row.credits:
        return Booked(row.credits, None)
    return Booked(0, FreeBecause.EXPORTED if row.exported else FreeBecause.VIEWED)
