"""What became of each record of a job: recorded with its batch, and asked for later."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Connection, text

from pricing.settlement import Outcome
from storage.crm_changes import Change
from storage.jobs.jobs import GIVEN_UP


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeRow:
    """One record's end.

    Code, field and message say why it was rejected, or why it was not linked; `change`
    and `link` belong to pushes.
    """

    record: int
    company_id: str
    person_id: str | None
    outcome: str
    email_found: bool
    phone_found: bool
    code: str | None
    field: str | None
    message: str | None
    change: str | None
    link: str | None


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
                   code, field, message, change, link
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


_DELIVERED_BEFORE = text("""
SELECT asked.record
  FROM unnest(CAST(:records AS integer[]), CAST(:companies AS text[]),
              CAST(:persons AS text[])) AS asked (record, company_id, person_id)
 WHERE EXISTS (
   SELECT 1 FROM outcomes AS o JOIN jobs AS j ON j.id = o.job_id
    WHERE o.license_id = :license_id AND o.outcome = 'delivered'
      AND o.company_id = asked.company_id COLLATE "C"
      AND (asked.person_id IS NULL OR o.person_id = asked.person_id COLLATE "C")
      AND j.error_code IS DISTINCT FROM :given_up)
    OR EXISTS (
   SELECT 1 FROM outcomes AS o JOIN jobs AS j ON j.id = o.job_id
    WHERE o.license_id = :license_id AND o.outcome = 'delivered'
      AND (o.company_id <> holdfast_trimmed(o.company_id)
           OR o.person_id <> holdfast_trimmed(o.person_id))
      AND holdfast_trimmed(o.company_id) = asked.company_id COLLATE "C"
      AND (asked.person_id IS NULL
           OR holdfast_trimmed(o.person_id) = asked.person_id COLLATE "C")
      AND j.error_code IS DISTINCT FROM :given_up)
""")


def delivered_before(
    connection: Connection,
    license_id: str,
    asked: Sequence[tuple[int, str, str | None]],
) -> set[int]:
    """Of records (number, company, person), those that the license has had already.

    A company alone counts as delivered with whichever record of it. An id is found also
    where it was delivered with white space around it, as it could be before.
    """
    numbers, companies, persons = zip(*asked, strict=True) if asked else ((), (), ())
    rows = connection.execute(
        _DELIVERED_BEFORE,
        {
            "license_id": license_id,
            "records": list(numbers),
            "companies": list(companies),
            "persons": list(persons),
            "given_up": GIVEN_UP,
        },
    )
    return set(rows.scalars())


class RecordOutcome(NamedTuple):
    """What became of one record; a code where it was not simply delivered."""

    record: int
    company_id: str
    person_id: str | None
    outcome: Outcome
    email_found: bool = False
    phone_found: bool = False
    code: str | None = None
    field: str | None = None
    message: str | None = None
    change: Change | None = None
    link: str | None = None


_RECORD = text("""
INSERT INTO outcomes (job_id, license_id, record, company_id, person_id, outcome,
                      email_found, phone_found, code, field, message, change, link)
SELECT :job_id, (SELECT license_id FROM jobs WHERE id = :job_id), (o ->> 0)::integer,
       o ->> 1, o ->> 2, o ->> 3, (o ->> 4)::boolean, (o ->> 5)::boolean,
       o ->> 6, o ->> 7, o ->> 8, o ->> 9, o ->> 10
  FROM json_array_elements(CAST(:outcomes AS json)) AS o
""")


def record(
    connection: Connection,
    job_id: str,
    outcomes: Sequence[RecordOutcome],
) -> None:
    """Write down how records ended, each once; fenced by what the caller did before."""
    connection.execute(_RECORD, {"job_id": job_id, "outcomes": json.dumps(outcomes)})
