"""Requests to providers as operators see them, page by page."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from storage.state_machine import LookupState


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """A request as operators see it; who is in it is told by its count alone."""

    id: str
    provider: str
    job_id: str
    state: LookupState
    vendor_id: str | None
    persons: int
    created_at: datetime
    deadline: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedLookups:
    """Which requests to list, from behind the id `before`; None does not matter."""

    license_id: str | None = None
    state: LookupState | None = None
    before: str | None = None


def page(connection: Connection, wanted: WantedLookups, *, limit: int) -> list[Lookup]:
    """Requests that are answered later, the newest first."""
    rows = connection.execute(
        text("""
            SELECT l.id, l.provider, l.job_id, l.state, l.vendor_id, l.created_at,
                   l.deadline, l.ended_at, (
                     SELECT count(DISTINCT (person_id, digest)) FROM lookup_items
                      WHERE lookup_id = l.id) AS persons
              FROM lookups AS l
             WHERE l.deferred
               AND (CAST(:state AS text) IS NULL OR l.state = :state)
               AND (CAST(:before AS text) IS NULL OR l.id < :before)
               AND (CAST(:license_id AS text) IS NULL OR EXISTS (
                    SELECT 1 FROM jobs WHERE jobs.id = l.job_id
                       AND jobs.license_id = :license_id))
             ORDER BY l.id DESC LIMIT :limit"""),
        {
            "state": wanted.state,
            "before": wanted.before,
            "license_id": wanted.license_id,
            "limit": limit,
        },
    )
    return [
        Lookup(**dict(row) | {"state": LookupState(row["state"])})
        for row in rows.mappings()
    ]
