"""What became of each record of a job, as people ask for it."""

from dataclasses import dataclass

from sqlalchemy import Connection, text

from storage.jobs import GIVEN_UP


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeRow:
    """One record's end; code, field and message only where it was rejected."""

    record: int
    company_id: str
    person_id: str | None
    outcome: str
    email_found: bool
    phone_found: bool
    code: str | None
    field: str | None
    message: str | None


def of_job(
    connection: Connection,
    job_id: str,
    *,
    after: int,
    limit: int,
    rejected: bool = False,
) -> list[OutcomeRow]:
    """Outcomes in the records' order, all or the rejected alone."""
    rows = connection.execute(
        text("""
            SELECT record, company_id, person_id, outcome, email_found, phone_found,
                   code, field, message
              FROM outcomes
             WHERE job_id = :job_id AND record > :after
               AND (NOT :rejected OR outcome = 'rejected')
             ORDER BY record LIMIT :limit"""),
        {"job_id": job_id, "after": after, "limit": limit, "rejected": rejected},
    )
    return [OutcomeRow(**row) for row in rows.mappings()]


def settled_records(connection: Connection, job_id: str) -> set[int]:
    """The records that need no other try: delivered or excluded.

    Of a job that was given up there are none: nothing of it has reached anybody.
    """
    rows = connection.execute(
        text("""
            SELECT record FROM outcomes
             WHERE job_id = :job_id AND outcome IN ('delivered', 'excluded')
               AND NOT EXISTS (SELECT 1 FROM jobs
                                WHERE id = :job_id AND error_code = :given_up)"""),
        {"job_id": job_id, "given_up": GIVEN_UP},
    )
    return set(rows.scalars())
