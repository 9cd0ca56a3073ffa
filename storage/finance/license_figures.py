"""Licenses as finance looks them over: their newest period, and what waits there."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True, kw_only=True)
class LicenseFigures:
    """A license with its newest period; None of that where none was ever opened.

    `to_close` counts periods that have ended and are not closed.
    """

    id: str
    name: str
    plan: str
    starts_at: datetime | None
    ends_at: datetime | None
    ended_at: datetime | None
    granted: int | None
    reserved: int | None
    spent: int | None
    expired: int | None
    available: int | None
    to_close: int


_FIGURES = """
SELECT l.id, l.name, l.plan, p.starts_at, p.ends_at, p.ended_at, p.granted,
       p.reserved - p.settled AS reserved, p.spent + p.settled AS spent, p.expired,
       p.granted - p.reserved - p.spent - p.expired AS available,
       (SELECT count(*) FROM periods
         WHERE license_id = l.id AND ended_at IS NOT NULL AND closed_at IS NULL)
         AS to_close
  FROM licenses AS l
  LEFT JOIN LATERAL (
       SELECT n.*, (SELECT CAST(coalesce(sum(settled), 0) AS bigint)
                      FROM reservations
                     WHERE period_id = n.id AND state = 'open') AS settled
         FROM periods AS n WHERE n.license_id = l.id
        ORDER BY n.starts_at DESC LIMIT 1) AS p ON true
"""

_CONDITIONS = {
    "license_id": "l.id = :license_id",
    "words": "strpos(lower(l.id || ' ' || l.name), lower(:words)) > 0",
    "after": "l.id > :after",
}


def page(
    connection: Connection,
    *,
    license_id: str | None = None,
    words: str | None = None,
    after: str | None = None,
    limit: int,
) -> list[LicenseFigures]:
    """Licenses by id: one alone, or those whose id or name holds these words."""
    given = {"license_id": license_id, "words": words, "after": after}
    asked = {name: one for name, one in given.items() if one is not None}
    where = " AND ".join(_CONDITIONS[name] for name in asked)
    rows = connection.execute(
        text(
            f"{_FIGURES} {'WHERE ' + where if where else ''} ORDER BY l.id LIMIT :limit"
        ),
        asked | {"limit": limit},
    )
    return [LicenseFigures(**row) for row in rows.mappings()]
