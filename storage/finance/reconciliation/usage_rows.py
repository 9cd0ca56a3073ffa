"""What was asked of a provider and paid, or written into a CRM, by ids and time."""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from sqlalchemy import Connection, text

_PAGE = 5_000


class UsageOf(StrEnum):
    """What the ids of a vendor's file are."""

    JOB = "job"
    """Our jobs, with what the provider was paid for each."""
    LOOKUP = "lookup"
    """Requests, by the vendor's id or ours; what one cost is not noted."""
    RECORD = "record"
    """Records of a CRM, by the CRM's ids."""


class Used(NamedTuple):
    """One thing that was used: its ids, and what was paid where that is noted."""

    ids: tuple[str, ...]
    amount: Decimal | None


_QUERIES = {
    UsageOf.JOB: """
        SELECT job_id, NULL, sum(paid) FROM provider_costs
         WHERE provider = :of
           AND (CAST(:since AS timestamptz) IS NULL OR paid_at >= :since)
           AND (CAST(:before AS timestamptz) IS NULL OR paid_at < :before)
         GROUP BY job_id ORDER BY job_id""",
    UsageOf.LOOKUP: """
        SELECT id, vendor_id, NULL::numeric FROM lookups
         WHERE provider = :of
           AND (CAST(:since AS timestamptz) IS NULL OR asked_at >= :since)
           AND (CAST(:before AS timestamptz) IS NULL OR asked_at < :before)
         ORDER BY id""",
    UsageOf.RECORD: """
        SELECT their_id, NULL, NULL::numeric FROM id_map
         WHERE connection_id = :of AND their_id <> ''
           AND (CAST(:since AS timestamptz) IS NULL OR sent_at >= :since)
           AND (CAST(:before AS timestamptz) IS NULL OR sent_at < :before)
         ORDER BY their_id""",
}


def used(
    connection: Connection,
    what: UsageOf,
    of: str,
    *,
    since: datetime | None,
    before: datetime | None,
) -> Iterator[Used]:
    """What was used of a provider or a connection from one instant to another.

    Read through a cursor: the transaction must stay open meanwhile.
    """
    rows = connection.execute(
        text(_QUERIES[what]),
        {"of": of, "since": since, "before": before},
        execution_options={"stream_results": True, "yield_per": _PAGE},
    )
    for first, second, amount in rows:
        yield Used(tuple(filter(None, (first, second))), amount)
