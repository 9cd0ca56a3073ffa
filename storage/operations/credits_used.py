"""What a license's jobs have used of late, by kind."""

from sqlalchemy import Connection, text


def by_kind(connection: Connection, license_id: str, *, days: int) -> dict[str, int]:
    """Credits that jobs made in the last days have settled and not been refunded."""
    rows = connection.execute(
        text("""
            WITH recent AS MATERIALIZED (
              SELECT id, kind FROM jobs
               WHERE license_id = :license_id
                 AND created_at > holdfast_now() - make_interval(days => :days))
            SELECT kind, sum(credits) FROM (
              SELECT kind, r.settled AS credits
                FROM recent JOIN reservations AS r ON r.job_id = recent.id
               UNION ALL
              SELECT kind, -back.credits
                FROM recent JOIN refunds AS back ON back.job_id = recent.id) AS moved
             GROUP BY kind"""),
        {"license_id": license_id, "days": days},
    )
    return {kind: int(credits_) for kind, credits_ in rows}
