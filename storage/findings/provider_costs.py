"""What providers were paid: rows that are only ever added, beside what was charged."""

from decimal import Decimal
from typing import NamedTuple

from sqlalchemy import Connection, text


class Cost(NamedTuple):
    """What one provider was paid for one job, in its own credits."""

    provider: str
    answers: int
    paid: Decimal


def add(connection: Connection, job_id: str, cost: Cost) -> None:
    """Note what a provider was paid for some answers, where there were any."""
    if not cost.answers:
        return
    connection.execute(
        text("""
            INSERT INTO provider_costs (job_id, provider, answers, paid, paid_at)
            VALUES (:job_id, :provider, :answers, :paid, holdfast_now())"""),
        {"job_id": job_id, **cost._asdict()},
    )


def of_job(connection: Connection, job_id: str) -> list[Cost]:
    """What each provider was paid for a job, by its name."""
    rows = connection.execute(
        text("""
            SELECT provider, sum(answers), sum(paid) FROM provider_costs
             WHERE job_id = :job_id GROUP BY provider ORDER BY provider"""),
        {"job_id": job_id},
    )
    return [Cost(provider, int(answers), paid) for provider, answers, paid in rows]


class Charged(NamedTuple):
    """What one job was charged for one item that one provider found, in our credits.

    `provider` is None where nobody had to find anything.
    """

    item: str
    provider: str | None
    lines: int
    credits: int


def charged(connection: Connection, job_id: str) -> list[Charged]:
    """What a job was charged, those of 0 included, by item and provider."""
    rows = connection.execute(
        text("""
            SELECT item, provider, count(*), sum(credits) FROM charges
             WHERE job_id = :job_id GROUP BY item, provider ORDER BY item, provider"""),
        {"job_id": job_id},
    )
    return [
        Charged(item, provider, lines, int(credits_))
        for item, provider, lines, credits_ in rows
    ]
