"""All lines of a license by what they are for: a company, an e-mail, a phone at a time.

What a claim cost depends on the lines of the same subject alone. The database sorts
them, and they come one behind the other, so that whoever replays them holds one
subject's.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, text

_PAGE = 5_000


class Line(NamedTuple):
    """A charge, and since when a use would have freed it.

    `refunded_at` is of the charge that it stands on: itself, or its payer.
    """

    item: str
    subject: str
    at: datetime
    id: int
    digest: str
    also_digest: str | None
    job_id: str | None
    credits: int
    rule: str
    paid_by: int | None
    cut: datetime | None
    views_count: bool
    free_because: str | None
    refunded_at: datetime | None
    is_asked: bool

    @property
    def is_view(self) -> bool:
        """Whether it is a view's."""
        return self.job_id is None


# A window of days that somebody has made something else of is none.
_LINES = text(r"""
WITH job AS MATERIALIZED (
  SELECT j.id,
         CASE WHEN q.terms ->> 'window_days' ~ '^\d{1,5}$'
              THEN date_trunc('second', q.quoted_at)
                   - make_interval(days => (q.terms ->> 'window_days')::integer)
              END AS cut,
         q.terms ->> 'views_count' = 'true' AS views_count
    FROM jobs AS j JOIN quotes AS q ON q.id = j.quote_id
   WHERE j.license_id = :license_id)
SELECT c.item, holdfast_trimmed(c.subject) AS subject, c.charged_at, c.id, c.digest,
       c.also_digest, c.job_id, c.credits, c.rule, c.paid_by,
       coalesce(c.free_since, job.cut), coalesce(job.views_count, true),
       c.free_because, r.refunded_at, c.period_id = :period_id
  FROM charges AS c
  LEFT JOIN job ON job.id = c.job_id
  LEFT JOIN refunds AS r ON r.charge_id = coalesce(c.paid_by, c.id)
 WHERE c.license_id = :license_id
   AND c.charged_at >= CAST(:starts_at AS timestamptz) - interval '367 days'
 ORDER BY c.item, 2, c.charged_at, c.id
""")


def of_license(
    connection: Connection, license_id: str, *, period_id: int, starts_at: datetime
) -> Iterator[Line]:
    """A license's lines that can matter to one of its periods, by subject and time.

    Read through a cursor: the transaction must stay open meanwhile.
    """
    rows = connection.execute(
        _LINES,
        {"license_id": license_id, "period_id": period_id, "starts_at": starts_at},
        execution_options={"stream_results": True, "yield_per": _PAGE},
    )
    for page in rows.partitions(_PAGE):
        for row in page:
            yield Line._make(row)
