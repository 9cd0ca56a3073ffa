"""The rows of money, period by period, in batches that each take a short look."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import Connection, text

from storage.finance.warehouse.cuts import Cut, had_ended


class Dataset(StrEnum):
    """What can be loaded."""

    TRANSFERS = "transfers"
    CHARGES = "charges"
    REFUNDS = "refunds"
    STATEMENTS = "statements"


class Scope(NamedTuple):
    """Periods: those that start in a time, of one license or of all."""

    since: datetime
    before: datetime
    license_id: str | None = None


class PeriodOf(NamedTuple):
    """A period, and whose it is."""

    id: int
    license_id: str
    starts_at: datetime


def periods_of(connection: Connection, scope: Scope) -> list[PeriodOf]:
    """The periods of a scope, by license."""
    of_license = "" if scope.license_id is None else "AND license_id = :license_id"
    rows = connection.execute(
        text(f"""
            SELECT id, license_id, starts_at FROM periods
             WHERE starts_at >= :since AND starts_at < :before {of_license}
             ORDER BY license_id, starts_at"""),  # noqa: S608 - a constant
        scope._asdict(),
    )
    return [PeriodOf(*row) for row in rows]


# `place` is where a row stands in its period; the rest is what a warehouse is given.
_TRANSFERS = f"""
SELECT t.id AS place, t.id, t.license_id AS license, t.kind, t.from_account,
       t.to_account, t.credits, t.reservation_id AS reservation, r.job_id AS job,
       t.reference, t.created_at, t.transaction_id AS transaction
  FROM transfers AS t LEFT JOIN reservations AS r ON r.id = t.reservation_id
 WHERE t.period_id = :period_id AND t.id > :after AND {had_ended("t")}
"""  # noqa: S608 - constants only
_CHARGES = f"""
SELECT c.id AS place, c.id, c.license_id AS license, c.job_id AS job,
       c.view_id AS view, c.user_id AS "user", c.item, c.subject, c.credits, c.rule,
       c.paid_by, c.provider, c.charged_at, c.transaction_id AS transaction
  FROM charges AS c
 WHERE c.license_id = :license_id AND c.period_id = :period_id AND c.id > :after
   AND {had_ended("c")}
"""  # noqa: S608 - constants only
_REFUNDS = f"""
SELECT r.charge_id AS place, r.charge_id AS charge, r.license_id AS license,
       r.job_id AS job, r.credits, r.reason, r.refunded_at,
       r.transaction_id AS transaction
  FROM refunds AS r
 WHERE r.period_id = :period_id AND r.charge_id > :after AND {had_ended("r")}
"""  # noqa: S608 - constants only
_STATEMENTS = """
SELECT s.run AS place, s.license_id AS license, s.run, s.since, s.until, s.available,
       s.reserved, s.spent, s.expired, s.head, s.document, s.frozen_at
  FROM statements AS s
 WHERE s.period_id = :period_id AND s.run > :after
"""
_QUERIES = {
    Dataset.TRANSFERS: _TRANSFERS,
    Dataset.CHARGES: _CHARGES,
    Dataset.REFUNDS: _REFUNDS,
    Dataset.STATEMENTS: _STATEMENTS,
}


def batch(
    connection: Connection,
    dataset: Dataset,
    cut: Cut,
    period: PeriodOf,
    *,
    after: int,
    limit: int,
) -> list[Mapping[str, Any]]:
    """The next rows of a period, from behind the place of the last."""
    rows = connection.execute(
        text(f"{_QUERIES[dataset]} ORDER BY place LIMIT :limit"),
        {
            **cut._asdict(),
            "license_id": period.license_id,
            "period_id": period.id,
            "after": after,
            "limit": limit,
        },
    )
    return [dict(row) for row in rows.mappings()]


class Balances(NamedTuple):
    """What the counters of a period say its accounts hold."""

    available: int
    reserved: int
    """In open reservations, less what they have settled."""
    spent: int
    expired: int


def balances_of(
    connection: Connection, periods: list[PeriodOf]
) -> Iterator[tuple[int, Balances]]:
    """By period; to be asked in the statement's snapshot that the cut was made in."""
    rows = connection.execute(
        text("""
            SELECT p.id, p.granted - p.reserved - p.spent - p.expired AS available,
                   p.reserved - coalesce(open.settled, 0) AS reserved,
                   p.spent + coalesce(open.settled, 0) AS spent, p.expired
              FROM periods AS p
              LEFT JOIN LATERAL (
                SELECT CAST(sum(settled) AS bigint) AS settled FROM reservations
                 WHERE period_id = p.id AND state = 'open') AS open ON true
             WHERE p.id = ANY (CAST(:ids AS bigint[]))"""),
        {"ids": [period.id for period in periods]},
    )
    for id_, *held in rows:
        yield id_, Balances(*held)
