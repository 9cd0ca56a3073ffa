"""What a period's credits went to, by user, job, item or day."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection, text


class UsageBy(StrEnum):
    """What usage is summed by."""

    USER = "user"
    JOB = "job"
    ITEM = "item"
    DAY = "day"


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodOf:
    """A period as a report names it."""

    id: int
    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """The charges of one key, less what was refunded of them."""

    key: str
    credits: int
    count: int


# A view has no job: its usage stands under the word that says so.
_KEYS = {
    UsageBy.USER: "c.user_id",
    UsageBy.JOB: "coalesce(c.job_id, 'views')",
    UsageBy.ITEM: "c.item",
    UsageBy.DAY: "to_char(c.charged_at AT TIME ZONE 'UTC', 'YYYY-MM-DD')",
}


def period(
    connection: Connection, license_id: str, since: datetime, before: datetime
) -> PeriodOf | None:
    """The last period that starts in a time, whose end is not in it, if any does."""
    row = connection.execute(
        text("""
            SELECT id, starts_at, ends_at FROM periods
             WHERE license_id = :license_id
               AND starts_at >= :since AND starts_at < :before
             ORDER BY starts_at DESC LIMIT 1"""),
        {"license_id": license_id, "since": since, "before": before},
    )
    found = row.mappings().one_or_none()
    return None if found is None else PeriodOf(**found)


def of_period(
    connection: Connection, license_id: str, period_id: int, by: UsageBy
) -> list[Usage]:
    """The usage of a license's period, the dearest first (days in their order)."""
    key = _KEYS[by]
    order = "key" if by is UsageBy.DAY else "credits DESC, key"
    rows = connection.execute(
        text(f"""
            SELECT {key} AS key, count(*) AS count,
                   (sum(c.credits) - coalesce(sum(r.credits), 0))::bigint AS credits
              FROM charges AS c LEFT JOIN refunds AS r ON r.charge_id = c.id
             WHERE c.license_id = :license_id AND c.period_id = :period_id
             GROUP BY 1 ORDER BY {order}"""),  # noqa: S608 - constants only
        {"license_id": license_id, "period_id": period_id},
    )
    return [Usage(**row) for row in rows.mappings()]
