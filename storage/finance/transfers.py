"""Transfers as people list them."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """Credits that moved from one account of a period to another."""

    id: int
    license_id: str
    period_starts_at: datetime
    kind: str
    from_account: str
    to_account: str
    credits: int
    job_id: str | None
    reference: str | None
    created_at: datetime


def find(
    connection: Connection,
    *,
    license_id: str | None,
    starts: tuple[datetime, datetime] | None,
    after: int,
    limit: int,
) -> list[Transfer]:
    """Those of a license, and of periods that start in a time; after one of them."""
    asked: dict[str, object] = {}
    of_period = []
    if license_id is not None:
        asked["license_id"] = license_id
        of_period.append("license_id = :license_id")
    if starts is not None:
        asked["since"], asked["before"] = starts
        of_period.append("starts_at >= :since AND starts_at < :before")
    # Periods first: transfers are found by theirs.
    conditions = ["t.id > :after"]
    if of_period:
        periods = f"SELECT id FROM periods WHERE {' AND '.join(of_period)}"  # noqa: S608 - constants only
        conditions.append(f"t.period_id = ANY (ARRAY({periods}))")
    rows = connection.execute(
        text(f"""
            SELECT t.id, t.license_id, p.starts_at AS period_starts_at, t.kind,
                   t.from_account, t.to_account, t.credits, r.job_id, t.reference,
                   t.created_at
              FROM transfers AS t JOIN periods AS p ON p.id = t.period_id
              LEFT JOIN reservations AS r ON r.id = t.reservation_id
             WHERE {" AND ".join(conditions)}
             ORDER BY t.id LIMIT :limit"""),  # noqa: S608 - constants only
        asked | {"after": after, "limit": limit},
    )
    return [Transfer(**row) for row in rows.mappings()]
