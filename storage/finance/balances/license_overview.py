"""What a license sees of a period: used and remaining, by user, and by job."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodCredits:
    """A period's credits; what open reservations have settled counts as used."""

    id: int
    starts_at: datetime
    ends_at: datetime
    granted: int
    reserved: int
    used: int
    expired: int

    @property
    def remaining(self) -> int:
        """What a new job may still reserve."""
        return self.granted - self.reserved - self.used - self.expired


@dataclass(frozen=True, slots=True)
class Used:
    """The charges of one key, less what was given back of them."""

    key: str
    credits: int
    count: int


def one_snapshot(connection: Connection) -> None:
    """Let a new transaction see one state throughout, so that its figures add up."""
    connection.execute(
        text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
    )


def period(
    connection: Connection, license_id: str, *, since: datetime, before: datetime
) -> PeriodCredits | None:
    """The latest period of a license that starts in this time."""
    row = connection.execute(
        text("""
            SELECT id, starts_at, ends_at, granted, reserved - open.settled AS reserved,
                   spent + open.settled AS used, expired
              FROM periods CROSS JOIN LATERAL (
                   SELECT coalesce(sum(settled), 0)::bigint AS settled
                     FROM reservations
                    WHERE period_id = periods.id AND state = 'open') AS open
             WHERE license_id = :license_id
               AND starts_at >= :since AND starts_at < :before
             ORDER BY starts_at DESC LIMIT 1"""),
        {"license_id": license_id, "since": since, "before": before},
    )
    found = row.mappings().one_or_none()
    return None if found is None else PeriodCredits(**found)


_BY_KIND = text("""
SELECT coalesce(j.kind, 'view') AS key,
       (sum(c.credits) - coalesce(sum(r.credits), 0))::bigint AS credits,
       count(*) AS count
  FROM charges AS c LEFT JOIN jobs AS j ON j.id = c.job_id
  LEFT JOIN refunds AS r ON r.charge_id = c.id
 WHERE c.license_id = :license_id AND c.period_id = :period_id
 GROUP BY 1 ORDER BY 1
""")


def by_kind(connection: Connection, license_id: str, period_id: int) -> list[Used]:
    """What exports, pushes and views of a period have used."""
    parameters = {"license_id": license_id, "period_id": period_id}
    return [Used(*row) for row in connection.execute(_BY_KIND, parameters)]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobCredits:
    """A job with the credits that it used of its period."""

    id: str
    kind: str
    name: str | None
    user_id: str
    state: str
    created_at: datetime
    reserved: int
    credits: int


_BEFORE = """
   AND (j.created_at, j.id) < (SELECT created_at, id FROM jobs WHERE id = :before)
"""

# A job is of the period that its reservation is of; it was made near it, which lets
# the index of a license's jobs end early.
_JOBS = """
SELECT j.id, j.kind, j.name, j.user_id, j.state, j.created_at, r.amount AS reserved,
       (r.settled - back.credits)::bigint AS credits
  FROM jobs AS j JOIN reservations AS r ON r.job_id = j.id
 CROSS JOIN LATERAL (
       SELECT coalesce(sum(credits), 0) AS credits FROM refunds
        WHERE job_id = j.id) AS back
 WHERE j.license_id = :license_id AND j.kind = :kind AND r.period_id = :period_id
   AND j.created_at >= CAST(:starts_at AS timestamptz) - interval '2 days'
   AND j.created_at < CAST(:ends_at AS timestamptz) + interval '2 days'
"""


def jobs(
    connection: Connection,
    license_id: str,
    of: PeriodCredits,
    kind: str,
    *,
    before: str | None,
    limit: int,
) -> Sequence[JobCredits]:
    """The newest jobs of a kind in a period, or those before one of them."""
    rows = connection.execute(
        text(f"""
            {_JOBS} {_BEFORE if before else ""}
             ORDER BY j.created_at DESC, j.id DESC LIMIT :limit"""),
        {
            "license_id": license_id,
            "kind": kind,
            "period_id": of.id,
            "starts_at": of.starts_at,
            "ends_at": of.ends_at,
            "limit": limit,
        }
        | ({"before": before} if before else {}),
    )
    return [JobCredits(**row) for row in rows.mappings()]
