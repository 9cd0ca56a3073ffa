"""Charges as people ask for them: one, those of a job, those of a period."""

import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, text

from pricing.plans import Item


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """One line, with the moment it was given back, if it was."""

    id: int
    license_id: str
    job_id: str | None
    view_id: str | None
    user_id: str
    item: str
    subject: str
    credits: int
    rule: str
    paid_by: int | None
    charged_at: datetime
    refunded_at: datetime | None


_CHARGES = """
SELECT c.id, c.license_id, c.job_id, c.view_id, c.user_id, c.item, c.subject, c.credits,
       c.rule, c.paid_by, c.charged_at, r.refunded_at
  FROM charges AS c LEFT JOIN refunds AS r ON r.charge_id = c.id
"""


def get(connection: Connection, charge_id: int) -> Charge | None:
    """The charge of this id."""
    row = connection.execute(text(_CHARGES + "WHERE c.id = :id"), {"id": charge_id})
    found = row.mappings().one_or_none()
    return None if found is None else Charge(**found)


def licenses_of(connection: Connection, charge_ids: Sequence[int]) -> dict[int, str]:
    """Whose charges are, by their ids; those that are not there are missing."""
    rows = connection.execute(
        text("""
            SELECT id, license_id FROM charges
             WHERE id = ANY (CAST(:charge_ids AS bigint[]))"""),
        {"charge_ids": list(charge_ids)},
    )
    return {row.id: row.license_id for row in rows}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which charges to list; what is None does not matter."""

    license_id: str | None = None
    job_id: str | None = None
    item: str | None = None
    period_starts_at: datetime | None = None
    user_id: str | None = None
    views: bool | None = None
    """Of views alone, which have no job."""
    period_starts_since: datetime | None = None
    period_starts_before: datetime | None = None


# What is not asked for is not in the statement: a plan that serves all questions would
# read the charges of all licenses.
_CONDITIONS = {
    "license_id": "c.license_id = :license_id",
    "job_id": "c.job_id = :job_id",
    "item": "c.item = :item",
    "period_starts_at": "c.period_id IN ("
    "SELECT id FROM periods WHERE starts_at = :period_starts_at)",
    "user_id": "c.user_id = :user_id",
    "views": "(c.job_id IS NULL) = :views",
    "period_starts_since": "c.period_id IN ("
    "SELECT id FROM periods WHERE starts_at >= :period_starts_since)",
    "period_starts_before": "c.period_id IN ("
    "SELECT id FROM periods WHERE starts_at < :period_starts_before)",
}


def find(
    connection: Connection, wanted: Wanted, *, after: int, limit: int
) -> list[Charge]:
    """Charges in the order of their ids, after one of them."""
    asked = {name: one for name, one in asdict(wanted).items() if one is not None}
    conditions = " AND ".join(["c.id > :after", *(_CONDITIONS[name] for name in asked)])
    rows = connection.execute(
        text(f"{_CHARGES} WHERE {conditions} ORDER BY c.id LIMIT :limit"),
        asked | {"after": after, "limit": limit},
    )
    return [Charge(**row) for row in rows.mappings()]


class ClaimKey(NamedTuple):
    """What a line of a job is for: an item, and whom it belongs to."""

    item: Item
    subject: str
    digest: str


# What was unchanged when a job ended was not sent, and is paid for where it is.
_SETTLED = text("""
SELECT c.item, c.subject, c.digest
  FROM json_array_elements(CAST(:claims AS json)) AS k
 CROSS JOIN unnest(CAST(:job_ids AS text[])) AS j (id)
  JOIN charges AS c ON c.job_id = j.id COLLATE "C"
   AND c.item = (k ->> 0) COLLATE "C" AND c.subject = (k ->> 1) COLLATE "C"
   AND c.digest = (k ->> 2) COLLATE "C"
 WHERE c.rule <> 'unchanged'
   AND NOT EXISTS (SELECT 1 FROM refunds WHERE charge_id = c.id)
""")


def settled_claims(
    connection: Connection, job_ids: Sequence[str], claims: Collection[ClaimKey]
) -> set[ClaimKey]:
    """Which of these claims the jobs have settled, and nobody has given back since."""
    rows = connection.execute(
        _SETTLED, {"job_ids": list(job_ids), "claims": json.dumps(list(claims))}
    )
    return {ClaimKey(Item(item), subject, digest) for item, subject, digest in rows}
