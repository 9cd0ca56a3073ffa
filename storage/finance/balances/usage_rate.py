"""The rate of use: what a license was charged over its last days."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageRate:
    """Credits charged since an instant, less what of them was given back."""

    since: datetime
    now: datetime
    credits: int


_RATE = text("""
WITH seen AS MATERIALIZED (
  SELECT id, holdfast_now() AS now FROM licenses WHERE id = :license_id),
span AS MATERIALIZED (
  SELECT seen.id, now, greatest(now - make_interval(days => :days), starts_at) AS since
    FROM seen JOIN licenses USING (id))
SELECT span.since, span.now, coalesce(sum(c.credits - coalesce(r.credits, 0)), 0)
  FROM span
  LEFT JOIN charges AS c ON c.license_id = span.id AND c.charged_at >= span.since
   AND c.credits > 0
  LEFT JOIN refunds AS r ON r.charge_id = c.id
 GROUP BY span.since, span.now
""")


def of_license(connection: Connection, license_id: str, *, days: int) -> UsageRate:
    """Over so many days, or since the license started where that is less long ago."""
    row = connection.execute(_RATE, {"license_id": license_id, "days": days}).one()
    return UsageRate(since=row[0], now=row[1], credits=int(row[2]))
