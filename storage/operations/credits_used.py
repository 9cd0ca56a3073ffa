"""What a license's jobs have used of late, by kind."""

from sqlalchemy import Connection, text


def by_kind(connection: Connection, license_id: str, *, days: int) -> dict[str, int]:
    """Credits that jobs made in the last days have settled and not been refunded."""
    rows = connection.execute(
        text("""
            SELECT j.kind, sum(r.settled - coalesce(back.credits, 0))
              FROM jobs AS j JOIN reservations AS r ON r.job_id = j.id
              LEFT JOIN LATERAL (
                   SELECT sum(credits) AS credits FROM refunds
                    WHERE job_id = j.id) AS back ON true
             WHERE j.license_id = :license_id
               AND j.created_at > holdfast_now() - make_interval(days => :days)
             GROUP BY j.kind"""),
        {"license_id": license_id, "days": days},
    )
    return {kind: int(credits_) for kind, credits_ in rows}
