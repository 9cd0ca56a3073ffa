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
         (license_id, item, subject, digest, settled_as, viewed_at, viewed_by)
  SELECT :license_id, 'company', holdfast_trimmed(:company_id), '', charge_id, at,
         charge_id FROM claim
  ON CONFLICT (license_id, item, subject, digest) DO UPDATE SET
    (settled_as, viewed_at, viewed_by, former_payers) = (
      SELECT excluded.settled_as,
             greatest(excluded.viewed_at, e.exported_at + interval '1 microsecond',
                      e.viewed_at + interval '1 microsecond'),
             on_charge,
             CASE WHEN e.viewed_by <> on_charge
                   AND e.viewed_by IS DISTINCT FROM e.exported_by
                  THEN array_append(array_remove(e.former_payers, e.viewed_by),
                                    e.viewed_by)
                  ELSE e.former_payers END
        FROM (SELECT CASE WHEN e.exported_at >= :free_since THEN e.exported_by
                          WHEN e.viewed_at >= :free_since THEN e.viewed_by
                          ELSE excluded.viewed_by END AS on_charge) AS stands)
  RETURNING viewed_by, viewed_at, exported_at)
SELECT charge_id, viewed_at AS at, viewed_by AS stands_on,
       coalesce(exported_at >= :free_since, false) AS exported
  FROM claim, entitled
""")

_SPEND = text("""
UPDATE periods SET spent = spent + :credits
 WHERE id = holdfast_running_period(:license_id) AND ended_at IS NULL
   AND granted - reserved - spent - expired >= :credits
RETURNING id
""")

_CHARGE = text("""
WITH moved AS (
  INSERT INTO transfers (license_id, period_id, kind, from_account, to_account, credits)
  SELECT :license_id, :period_id, 'view', 'available', 'spent', :credits
   WHERE :credits > 0)
INSERT INTO charges (id, license_id, period_id, view_id, user_id, item, subject, digest,
                     credits, rule, paid_by, charged_at, free_since, free_because)
VALUES (:charge_id, :license_id, :period_id, :view_id, :user_id, 'company', :company_id,
        '', :credits, :rule, :paid_by, :at, :free_since, :free_because)
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
    because = None
    if claim.stands_on != claim.charge_id:
        because = FreeBecause.EXPORTED if claim.exported else FreeBecause.VIEWED
    credits_ = 0 if because else view.credits
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
            "rule": "paid_meanwhile" if because else "price",
            "paid_by": claim.stands_on if because else None,
            "at": claim.at,
            "free_because": because,
        },
    )
    return Booked(credits_, because)


def free_because(
    connection: Connection, license_id: str, company_id: str, free_since: datetime
) -> FreeBecause | None:
    """Why a view would cost nothing just now; None where it would be paid for."""
    row = connection.execute(
        text("""
            SELECT exported_at >= :free_since AS exported,
                   viewed_at >= :free_since AS viewed
              FROM entitlements
             WHERE license_id = :license_id AND item = 'company' AND digest = ''
               AND subject = holdfast_trimmed(:company_id)"""),
        {
            "license_id": license_id,
            "company_id": company_id,
            "free_since": free_since,
        },
    ).one_or_none()
    if row is None or not (row.exported or row.viewed):
        return None
    return FreeBecause.EXPORTED if row.exported else FreeBecause.VIEWED


def of_id(connection: Connection, view_id: str) -> Booked | None:
    """A view as it was booked; None where there is none of this id.

    Why one was free that was booked before that was noted is told by what stands.
    """
    row = connection.execute(
        text("""
            SELECT c.credits, coalesce(
                     c.free_because, CASE WHEN e.exported_at >= c.free_since
                                          THEN 'exported' ELSE 'viewed' END) AS because
              FROM charges AS c LEFT JOIN entitlements AS e
                ON e.license_id = c.license_id AND e.item = c.item
               AND e.subject = holdfast_trimmed(c.subject) AND e.digest = c.digest
             WHERE c.view_id = :view_id"""),
        {"view_id": view_id},
    ).one_or_none()
    if row is None:
        return None
    return Booked(row.credits, None if row.credits else FreeBecause(row.because))
