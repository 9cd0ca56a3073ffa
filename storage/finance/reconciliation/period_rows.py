"""A period as its rows have it: counters, what moved, and who says something else.

Counters, transfers, reservations, charges and refunds each say what a period's credits
did; they are read by themselves, so that each can be held against the others.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, text


class Wanted(NamedTuple):
    """Which periods: those that start from `since` and before `before`, of one license.

    Without instants those that have not ended, or whose time is not over; without a
    license those of all.
    """

    since: datetime | None
    before: datetime | None
    license_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodRow:
    """A period's own row."""

    id: int
    license_id: str
    starts_at: datetime
    ends_at: datetime
    ended_at: datetime | None
    granted: int
    reserved: int
    spent: int
    expired: int


_COLUMNS = """
id, license_id, starts_at, ends_at, ended_at, granted, reserved, spent, expired
"""


def following(connection: Connection, wanted: Wanted, after: int) -> PeriodRow | None:
    """The first wanted period behind one, by id."""
    row = connection.execute(
        text(f"""
            SELECT {_COLUMNS} FROM periods
             WHERE id > :after
               AND (CAST(:license_id AS text) IS NULL OR license_id = :license_id)
               AND CASE WHEN CAST(:since AS timestamptz) IS NULL
                   THEN ended_at IS NULL OR ends_at > (SELECT holdfast_now())
                   ELSE starts_at >= :since AND starts_at < :before END
             ORDER BY id LIMIT 1"""),  # noqa: S608 - a constant
        {"after": after, **wanted._asdict()},
    )
    found = row.mappings().one_or_none()
    return None if found is None else PeriodRow(**found)


def again(connection: Connection, period: PeriodRow) -> PeriodRow:
    """A period's row as the transaction sees it by now."""
    row = connection.execute(
        text(f"SELECT {_COLUMNS} FROM periods WHERE id = :id"),  # noqa: S608 - a constant
        {"id": period.id},
    )
    return PeriodRow(**row.mappings().one())


def one_snapshot(connection: Connection) -> None:
    """Let all that a new transaction reads be of one moment."""
    connection.execute(
        text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
    )


class Moved(NamedTuple):
    """What a period's transfers sum to by kind, and how many name another license."""

    credits: Mapping[str, int]
    of_others: int


def moved(connection: Connection, period: PeriodRow) -> Moved:
    """The transfers of a period."""
    rows = connection.execute(
        text("""
            SELECT kind, sum(credits)::bigint AS credits,
                   count(*) FILTER (WHERE license_id <> :license_id) AS others
              FROM transfers WHERE period_id = :period_id GROUP BY kind"""),
        {"period_id": period.id, "license_id": period.license_id},
    ).all()
    return Moved(
        {row.kind: row.credits for row in rows}, sum(row.others for row in rows)
    )


class Held(NamedTuple):
    """What a period's reservations say."""

    open_amount: int
    open_settled: int
    closed_settled: int
    of_others: int


def held(connection: Connection, period: PeriodRow) -> Held:
    """The reservations of a period."""
    row = connection.execute(
        text("""
            SELECT coalesce(sum(amount) FILTER (WHERE state = 'open'), 0)::bigint,
                   coalesce(sum(settled) FILTER (WHERE state = 'open'), 0)::bigint,
                   coalesce(sum(settled) FILTER (WHERE state = 'closed'), 0)::bigint,
                   count(*) FILTER (WHERE license_id <> :license_id)
              FROM reservations WHERE period_id = :period_id"""),
        {"period_id": period.id, "license_id": period.license_id},
    ).one()
    return Held(*row)


class Views(NamedTuple):
    """The paid and free views of a period."""

    number: int
    credits: int


def views(connection: Connection, period: PeriodRow) -> Views:
    """What a period's charges say of views."""
    row = connection.execute(
        text("""
            SELECT count(*), coalesce(sum(credits), 0)::bigint
              FROM charges
             WHERE license_id = :license_id AND period_id = :period_id
               AND view_id IS NOT NULL"""),
        {"period_id": period.id, "license_id": period.license_id},
    ).one()
    return Views(*row)


class Granted(NamedTuple):
    """The grant with which a period began, as its reference names it."""

    id: int
    reference: str
    expected: str


def opening_grants(connection: Connection, period: PeriodRow) -> list[Granted]:
    """The grants that say when their period starts, where it starts at another time."""
    rows = connection.execute(
        text("""
            SELECT id, reference,
                   'period from ' || CAST(:starts_at AS timestamptz) AS expected
              FROM transfers
             WHERE period_id = :period_id AND kind = 'grant'
               AND reference LIKE 'period from %'
               AND reference <> 'period from ' || CAST(:starts_at AS timestamptz)"""),
        {"period_id": period.id, "starts_at": period.starts_at},
    )
    return [Granted(*row) for row in rows]


class Refunded(NamedTuple):
    """A refund, its charge and its transfer, of which two do not agree."""

    charge_id: int
    job_id: str | None
    refund: str
    charge: str
    transfer: str


# The transfer of a refund names its charge; what is paired here is by that name alone.
_REFUNDS = text("""
WITH given AS MATERIALIZED (
  SELECT * FROM refunds WHERE period_id = :period_id),
back AS MATERIALIZED (
  SELECT substring(reference FROM '^charge ([0-9]{1,18})$')::bigint AS charge_id,
         license_id, credits
    FROM transfers WHERE period_id = :period_id AND kind = 'refund')
SELECT coalesce(given.charge_id, back.charge_id, 0), coalesce(given.job_id, c.job_id),
       coalesce(given.credits || ' credits of ' || given.license_id, 'none'),
       coalesce(c.credits || ' credits of ' || c.license_id, 'none'),
       coalesce(back.credits || ' credits of ' || back.license_id, 'none')
  FROM given
  FULL JOIN back ON back.charge_id = given.charge_id
  LEFT JOIN charges AS c ON c.id = coalesce(given.charge_id, back.charge_id)
 WHERE (given.license_id, given.credits, given.license_id, given.credits,
        given.period_id, given.job_id)
       IS DISTINCT FROM (c.license_id, c.credits, back.license_id, back.credits,
                         c.period_id, c.job_id)
 ORDER BY 1 LIMIT 1000
""")


def unequal_refunds(connection: Connection, period: PeriodRow) -> list[Refunded]:
    """The refunds of a period that are not what their charge and transfer say."""
    rows = connection.execute(_REFUNDS, {"period_id": period.id})
    return [Refunded(*row) for row in rows]


def refunded(connection: Connection, period: PeriodRow) -> int:
    """The credits that a period's refunds gave back."""
    found: int = connection.execute(
        text("""
            SELECT coalesce(sum(credits), 0)::bigint FROM refunds
             WHERE period_id = :period_id"""),
        {"period_id": period.id},
    ).scalar_one()
    return found
