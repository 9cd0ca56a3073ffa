"""What was asked of a provider and paid, or written into a CRM, by ids and time."""

from collections.abc import Generator
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from sqlalchemy import Connection, text

_PAGE = 5_000
_LAG_S = 600.0
"""So much apart a vendor and we may note the same: it when asked, we when kept."""


class UsageOf(StrEnum):
    """What the ids of a vendor's file are."""

    JOB = "job"
    """Our jobs, with what the provider was paid for each."""
    LOOKUP = "lookup"
    """Requests that are answered later, by the vendor's id or ours, with how many
    persons each was about; what one cost is not noted."""
    RECORD = "record"
    """Records of a CRM, by the CRM's ids; how often each was written is not noted."""


class Used(NamedTuple):
    """One thing that was used: its ids, and what was paid where that is noted.

    `is_inside` where it lies in the time that was asked for, and not just beside it.
    """

    ids: tuple[str, ...]
    amount: Decimal | None
    is_inside: bool


# Each has what lies beside the time too. A request that has no id of the vendor's may
# never have come to it: it is not missed. Of a record only when it was last sent is
# known: one that was sent again since was maybe sent in that time as well.
_QUERIES = {
    UsageOf.JOB: """
        SELECT job_id, NULL, sum(paid),
               bool_or((CAST(:since AS timestamptz) IS NULL OR paid_at >= :since)
                       AND (CAST(:before AS timestamptz) IS NULL OR paid_at < :before))
          FROM provider_costs
         WHERE provider = :of
           AND (CAST(:since AS timestamptz) IS NULL
                OR paid_at >= :since - make_interval(secs => :lag_s))
           AND (CAST(:before AS timestamptz) IS NULL
                OR paid_at < :before + make_interval(secs => :lag_s))
         GROUP BY job_id ORDER BY job_id""",
    UsageOf.LOOKUP: """
        SELECT id, vendor_id,
               (SELECT CAST(nullif(count(DISTINCT (person_id, digest)), 0) AS numeric)
                  FROM lookup_items WHERE lookup_id = lookups.id),
               vendor_id IS NOT NULL
               AND (CAST(:since AS timestamptz) IS NULL OR created_at >= :since)
               AND (CAST(:before AS timestamptz) IS NULL OR created_at < :before)
          FROM lookups
         WHERE provider = :of AND deferred
           AND (CAST(:since AS timestamptz) IS NULL
                OR created_at >= :since - make_interval(secs => :lag_s))
           AND (CAST(:before AS timestamptz) IS NULL
                OR created_at < :before + make_interval(secs => :lag_s))
         ORDER BY id""",
    UsageOf.RECORD: """
        SELECT their_id, NULL, CAST(NULL AS numeric),
               bool_or((CAST(:since AS timestamptz) IS NULL OR sent_at >= :since)
                       AND (CAST(:before AS timestamptz) IS NULL OR sent_at < :before))
          FROM id_map
         WHERE connection_id = :of AND their_id <> ''
           AND (CAST(:since AS timestamptz) IS NULL
                OR sent_at >= :since - make_interval(secs => :lag_s))
         GROUP BY their_id ORDER BY their_id""",
}


def used(
    connection: Connection,
    what: UsageOf,
    of: str,
    *,
    since: datetime | None,
    before: datetime | None,
) -> Generator[Used]:
    """What was used of a provider or a connection from one instant to another.

    Read through a cursor: the transaction must stay open meanwhile, and who stops
    before the end closes it.
    """
    with connection.execute(
        text(_QUERIES[what]),
        {"of": of, "since": since, "before": before, "lag_s": _LAG_S},
        execution_options={"stream_results": True, "yield_per": _PAGE},
    ) as rows:
        for first, second, amount, is_inside in rows:
            yield Used(tuple(filter(None, (first, second))), amount, is_inside)


def is_known(connection: Connection, what: UsageOf, of: str) -> bool:
    """Whether there is such a connection, or a provider that was ever asked."""
    question = """
        EXISTS (SELECT FROM lookups WHERE provider = :of)
        OR EXISTS (SELECT FROM provider_costs WHERE provider = :of)"""
    if what is UsageOf.RECORD:
        question = "EXISTS (SELECT FROM connections WHERE id = :of)"
    known: bool = connection.execute(
        text(f"SELECT {question}"),
        {"of": of},
    ).scalar_one()
    return known
