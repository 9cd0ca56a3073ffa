"""A charge with all that says why it cost what it did, from one snapshot."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, text

_FREE_MAX = 100
"""So many of the lines that were free on a charge are named; all are counted."""


class Payer(NamedTuple):
    """The charge that a line is free on: when, in which job or by a view."""

    id: int
    job_id: str | None
    charged_at: datetime
    refunded_at: datetime | None
    note_number: int | None


class RecordOf(NamedTuple):
    """The first record of a job that its line is for, and how many there are."""

    number: int
    company_id: str
    person_id: str | None
    records: int


class FoundBy(NamedTuple):
    """What is kept of who found what is charged for; without the value."""

    provider: str
    is_kept: bool
    found_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """A charge and its surroundings; what there is none of is None, or empty.

    `connector` is that of a push, as long as its connection is known. `note_number` is
    of the credit note that gave it back. `terms` are the frozen ones of a job's quote,
    `line` is that quote's for the item.
    """

    id: int
    license_id: str
    job_id: str | None
    kind: str | None
    connector: str | None
    user_id: str
    item: str
    subject: str
    credits: int
    rule: str
    charged_at: datetime
    free_since: datetime | None
    free_because: str | None
    provider: str | None
    refunded_at: datetime | None
    note_number: int | None
    quoted_at: datetime | None
    terms: Mapping[str, Any] | None
    line: Mapping[str, Any] | None
    reserved: int | None
    settled: int | None
    is_closed: bool
    is_erased: bool
    payer: Payer | None
    record: RecordOf | None
    free_on_it: list[int]
    free_count: int
    found: FoundBy | None


_CHARGE = text("""
SELECT c.id, c.license_id, c.job_id, q.kind, c.user_id, c.item, c.subject, c.credits,
       c.rule, c.charged_at, c.free_since, c.free_because, c.provider, c.digest,
       c.paid_by, g.refunded_at, n.number AS note_number, x.connector,
       q.quoted_at, q.terms,
       (SELECT line FROM jsonb_array_elements(q.lines) AS line
         WHERE line ->> 'item' = c.item LIMIT 1) AS line,
       r.amount AS reserved, r.settled, coalesce(r.state = 'closed', true) AS is_closed,
       c.item <> 'company' AND EXISTS (
         SELECT FROM erasures AS e
          WHERE holdfast_trimmed(e.person_id) = holdfast_trimmed(c.subject)
            AND e.license_id IN ('', c.license_id)) AS is_erased
  FROM charges AS c
  LEFT JOIN refunds AS g ON g.charge_id = c.id
  LEFT JOIN credit_notes AS n ON n.id = g.credit_note_id
  LEFT JOIN reservations AS r ON r.id = c.reservation_id
  LEFT JOIN jobs AS j ON j.id = c.job_id
  LEFT JOIN quotes AS q ON q.id = j.quote_id
  LEFT JOIN connections AS x ON x.id = q.push ->> 'connection'
 WHERE c.id = :id
""")

_PAYER = text("""
SELECT p.id, p.job_id, p.charged_at, g.refunded_at, n.number
  FROM charges AS p
  LEFT JOIN refunds AS g ON g.charge_id = p.id
  LEFT JOIN credit_notes AS n ON n.id = g.credit_note_id
 WHERE p.id = :id
""")

_RECORD = text("""
SELECT min(record), (array_agg(company_id ORDER BY record))[1],
       (array_agg(person_id ORDER BY record))[1], count(*)
  FROM outcomes
 WHERE job_id = :job_id AND outcome IN ('delivered', 'rejected')
   AND CASE WHEN :item = 'company' THEN company_id ELSE person_id END = :subject
""")

_FREE = text("""
SELECT array_agg(id ORDER BY id), max(total)
  FROM (SELECT id, count(*) OVER () AS total FROM charges
         WHERE paid_by = :id ORDER BY id LIMIT :limit) AS free
""")

_FOUND = text("""
SELECT min(found_at) FROM findings
 WHERE person_id = :subject AND item = :item AND provider = :provider
   AND value IS NOT NULL AND found_at <= :charged_at + interval '1 minute'
""")


def get(connection: Connection, charge_id: int) -> Explained | None:
    """The charge of this id, with all that explains it."""
    row = connection.execute(_CHARGE, {"id": charge_id}).mappings().one_or_none()
    if row is None:
        return None
    values = dict(row)
    values.pop("digest")
    paid_by = values.pop("paid_by")
    free, count = connection.execute(_FREE, {"id": charge_id, "limit": _FREE_MAX}).one()
    return Explained(
        **values,
        payer=_payer(connection, paid_by),
        record=_record(connection, values),
        free_on_it=free or [],
        free_count=count or 0,
        found=_found(connection, values),
    )


def _payer(connection: Connection, paid_by: int | None) -> Payer | None:
    if paid_by is None:
        return None
    row = connection.execute(_PAYER, {"id": paid_by}).one_or_none()
    return None if row is None else Payer(*row)


def _record(connection: Connection, charge: Mapping[str, Any]) -> RecordOf | None:
    if charge["job_id"] is None:
        return None
    asked = {name: charge[name] for name in ("job_id", "item", "subject")}
    row = connection.execute(_RECORD, asked).one()
    return RecordOf(*row) if row[3] else None


def _found(connection: Connection, charge: Mapping[str, Any]) -> FoundBy | None:
    if charge["provider"] is None:
        return None
    names = ("subject", "item", "provider", "charged_at")
    asked = {name: charge[name] for name in names}
    at = connection.execute(_FOUND, asked).scalar_one()
    return FoundBy(charge["provider"], at is not None, at)
