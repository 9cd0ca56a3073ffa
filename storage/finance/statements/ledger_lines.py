"""The lines of a statement, read from the ledger: transfers, charges and refunds.

A run holds the rows of its period whose transactions lie in its range. Below a sealed
bound nothing can still commit, so such a range reads the same for ever.
"""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, TextClause, text

from storage.finance.statements.lines import (
    VIEWS,
    Accounts,
    Kind,
    Line,
    Section,
    effect_of,
)


class Range(NamedTuple):
    """Transactions from `since` on, below `until`; None is all there are."""

    since: int = 0
    until: int | None = None


class Stated(NamedTuple):
    """Whose statement it is: the license's period."""

    license_id: str
    period_id: int
    starts_at: datetime
    ends_at: datetime
    over_at: datetime
    """From here on what moves is late: its end, or when it was ended before that."""


def _ranged(query: str) -> TextClause:
    """A query that is held to the range, and knows what the period began with."""
    within = r"\1.transaction_id >= :since AND \1.transaction_id < :until"
    held = re.sub(r"IN_RANGE\((\w)\)", within, query)
    # As `periods` spells it when it opens one.
    own = "(reference = 'period from ' || CAST(:starts_at AS timestamptz))"
    return text(held.replace("IS_OWN_GRANT", own))


_MOVED = _ranged("""
SELECT CASE WHEN kind = 'grant' AND NOT IS_OWN_GRANT THEN 'top_up'
            ELSE kind END AS kind,
       CAST(sum(credits) AS bigint) AS credits, count(*) AS times
  FROM transfers AS t
 WHERE period_id = :period_id AND IN_RANGE(t)
 GROUP BY 1
""")

_TOP_UPS = _ranged("""
SELECT reference, credits, created_at FROM transfers AS t
 WHERE period_id = :period_id AND kind = 'grant'
   AND NOT IS_OWN_GRANT AND IN_RANGE(t)
 ORDER BY id
""")

# Of before there were credit notes there is no number.
_CREDIT_NOTES = _ranged("""
SELECT n.number, n.job_id, CAST(sum(r.credits) AS bigint) AS credits,
       count(*) AS times, min(r.refunded_at) AS at
  FROM refunds AS r LEFT JOIN credit_notes AS n ON n.id = r.credit_note_id
 WHERE r.period_id = :period_id AND IN_RANGE(r)
 GROUP BY n.number, n.job_id ORDER BY n.number NULLS FIRST
""")

# By item, by user and by job in one look. What is refunded stands with what it was
# charged for, also where it was charged in an earlier run.
_WENT_TO = _ranged("""
SELECT CASE WHEN grouping(item) = 0 THEN 'item'
            WHEN grouping(user_id) = 0 THEN 'user' ELSE 'job' END AS section,
       coalesce(item, user_id, job) AS key,
       CAST(sum(credits) AS bigint) AS credits,
       CAST(sum(refunded) AS bigint) AS refunded,
       CAST(sum(charged) AS bigint) AS times
  FROM (SELECT c.item, c.user_id, coalesce(c.job_id, :views) AS job,
               c.credits, 0 AS refunded, 1 AS charged
          FROM charges AS c
         WHERE c.license_id = :license_id AND c.period_id = :period_id AND IN_RANGE(c)
         UNION ALL
        SELECT c.item, c.user_id, coalesce(c.job_id, :views), 0, r.credits, 0
          FROM refunds AS r JOIN charges AS c ON c.id = r.charge_id
         WHERE r.period_id = :period_id AND IN_RANGE(r)) AS moved
 GROUP BY GROUPING SETS ((item), (user_id), (job))
 ORDER BY 1, sum(credits) DESC, 2
""")

_COUNTED = _ranged("""
SELECT count(*) FILTER (WHERE c.job_id IS NOT NULL) AS settled,
       count(*) FILTER (WHERE c.job_id IS NULL) AS viewed
  FROM charges AS c
 WHERE c.license_id = :license_id AND c.period_id = :period_id AND IN_RANGE(c)
""")

_LATE = _ranged("""
SELECT 'settled' AS kind, c.job_id, CAST(sum(c.credits) AS bigint) AS credits,
       count(*) AS times, min(c.charged_at) AS at
  FROM charges AS c
 WHERE c.license_id = :license_id AND c.period_id = :period_id AND IN_RANGE(c)
   AND c.charged_at >= :over_at AND c.job_id IS NOT NULL
 GROUP BY c.job_id HAVING sum(c.credits) > 0
 UNION ALL
SELECT 'released', v.job_id, t.credits, 1, v.closed_at
  FROM transfers AS t JOIN reservations AS v ON v.id = t.reservation_id
 WHERE t.period_id = :period_id AND t.kind = 'release' AND IN_RANGE(t)
   AND v.closed_at >= :over_at
 UNION ALL
SELECT 'refunded', r.job_id, CAST(sum(r.credits) AS bigint), count(*),
       min(r.refunded_at)
  FROM refunds AS r
 WHERE r.period_id = :period_id AND IN_RANGE(r) AND r.refunded_at >= :over_at
 GROUP BY r.job_id
 ORDER BY at, kind, job_id
""")

# Without an amount: the credits were moved in a period that has ended, and stand there.
_MEMO = _ranged("""
SELECT p.starts_at, r.job_id, count(*) AS times
  FROM periods AS p JOIN refunds AS r ON r.period_id = p.id
 WHERE p.license_id = :license_id AND p.starts_at < :this_starts_at
   AND r.refunded_at >= :this_starts_at AND r.refunded_at < :this_ends_at
   AND IN_RANGE(r)
 GROUP BY p.starts_at, r.job_id
 ORDER BY p.starts_at, r.job_id
""")

_KINDS = {
    "grant": Kind.GRANTED,
    "top_up": Kind.TOPPED_UP,
    "reserve": Kind.RESERVED,
    "settle": Kind.SETTLED,
    "view": Kind.VIEWED,
    "release": Kind.RELEASED,
    "refund": Kind.REFUNDED,
    "expire": Kind.EXPIRED,
    "reopen": Kind.REOPENED,
}
_BIGINT_MAX = (1 << 63) - 1


def lines_of(
    connection: Connection, stated: Stated, range_: Range, opening: Accounts
) -> tuple[Line, ...]:
    """All lines of a run that begins with `opening`.

    Where the range is open at its end, all must be read from one snapshot.
    """
    given = {
        "license_id": stated.license_id,
        "period_id": stated.period_id,
        "since": range_.since,
        "until": _BIGINT_MAX if range_.until is None else range_.until,
    }
    movements = _movements(connection, stated, given)
    closing = opening
    for movement in movements:
        closing = closing.plus(movement.accounts or Accounts())
    return (
        Line(section=Section.OPENING, accounts=opening),
        *movements,
        Line(section=Section.CLOSING, accounts=closing),
        *_top_ups(connection, stated, given),
        *_credit_notes(connection, given),
        *_went_to(connection, given),
        *_late(connection, stated, given),
        *_memo(connection, stated, given),
    )


def _movements(
    connection: Connection, stated: Stated, given: dict[str, Any]
) -> list[Line]:
    """A line for each kind, also of those that nothing has moved by."""
    rows = connection.execute(_MOVED, given | {"starts_at": stated.starts_at})
    moved = {_KINDS[row.kind]: row for row in rows}
    counted = connection.execute(_COUNTED, given).one()
    counts = {Kind.SETTLED: counted.settled, Kind.VIEWED: counted.viewed}
    lines = []
    for kind in Kind:
        row = moved.get(kind)
        credits_ = row.credits if row else 0
        count = counts.get(kind, row.times if row else 0)
        effect = effect_of(kind, credits_)
        lines.append(
            Line(
                section=Section.MOVEMENT,
                key=kind.value,
                count=count,
                credits=credits_,
                accounts=effect,
            )
        )
    return lines


def _top_ups(
    connection: Connection, stated: Stated, given: dict[str, Any]
) -> Iterator[Line]:
    rows = connection.execute(_TOP_UPS, given | {"starts_at": stated.starts_at})
    for row in rows:
        yield Line(
            section=Section.TOP_UP,
            key=row.reference,
            count=1,
            credits=row.credits,
            at=row.created_at,
        )


def _credit_notes(connection: Connection, given: dict[str, Any]) -> Iterator[Line]:
    for row in connection.execute(_CREDIT_NOTES, given):
        yield Line(
            section=Section.CREDIT_NOTE,
            key=None if row.number is None else str(row.number),
            job=row.job_id,
            count=row.times,
            credits=row.credits,
            at=row.at,
        )


def _went_to(connection: Connection, given: dict[str, Any]) -> list[Line]:
    rows = connection.execute(_WENT_TO, given | {"views": VIEWS})
    lines = [
        Line(
            section=Section(row.section),
            key=row.key,
            job=row.key if row.section == Section.JOB and row.key != VIEWS else None,
            count=row.times,
            credits=row.credits,
            refunded=row.refunded,
        )
        for row in rows
    ]
    order = list(Section)
    return sorted(lines, key=lambda line: order.index(line.section))


def _late(
    connection: Connection, stated: Stated, given: dict[str, Any]
) -> Iterator[Line]:
    for row in connection.execute(_LATE, given | {"over_at": stated.over_at}):
        yield Line(
            section=Section.LATE,
            key=row.kind,
            job=row.job_id,
            count=row.times,
            credits=row.credits,
            at=row.at,
        )


def _memo(
    connection: Connection, stated: Stated, given: dict[str, Any]
) -> Iterator[Line]:
    bounds = {"this_starts_at": stated.starts_at, "this_ends_at": stated.ends_at}
    for row in connection.execute(_MEMO, given | bounds):
        yield Line(
            section=Section.MEMO,
            key="refunded",
            job=row.job_id,
            count=row.times,
            at=row.starts_at,
        )
