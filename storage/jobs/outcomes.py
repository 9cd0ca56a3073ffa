"""What became of each record of a job: recorded with its batch, and asked for later."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlalchemy import Connection, text

from pricing.settlement import Outcome
from storage.array_literals import array
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


# Batches are taken apart one behind the other, until the page is full: a CTE is read in
# its own order, as far as somebody asks, and a nested loop keeps that order. Those of
# which no record is wanted are not taken apart: the ones before, and where the rejected
# are asked for, the ones without a code.
_OF_JOB = text("""
WITH batch AS MATERIALIZED (
  SELECT * FROM outcome_batches
   WHERE job_id = :job_id AND last_record > :after
     AND (NOT :rejected OR codes IS NOT NULL)
   ORDER BY first_record)
(SELECT record, company_id, person_id, outcome, email_found, phone_found, code, field,
        message, change, link
   FROM record_outcomes
  WHERE job_id = :job_id AND record > :after
    AND (NOT :rejected OR outcome = 'rejected')
  ORDER BY record LIMIT :limit)
UNION ALL
(SELECT e.*
   FROM batch AS b
  CROSS JOIN LATERAL unnest(
          b.records, b.company_ids, b.person_ids, b.outcomes, b.email_found,
          b.phone_found, b.codes, b.fields, b.messages, b.changes, b.links)
        AS e (record, company_id, person_id, outcome, email_found, phone_found, code,
              field, message, change, link)
  WHERE e.record > :after AND (NOT :rejected OR e.outcome = 'rejected')
  LIMIT :limit)
ORDER BY record LIMIT :limit
""")


def of_job(
    connection: Connection,
    job_id: str,
    *,
    after: int,
    limit: int,
    rejected: bool = False,
) -> list[OutcomeRow]:
    """Outcomes in the records' order, all or the rejected alone."""
    asked = {"job_id": job_id, "after": after, "limit": limit, "rejected": rejected}
    rows = connection.execute(_OF_JOB, asked).mappings()
    return [OutcomeRow(**row) for row in rows]


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
   SELECT 1 FROM delivered_companies AS d JOIN jobs AS j ON j.id = d.job_id
    WHERE d.license_id = :license_id AND d.company_id = asked.company_id COLLATE "C"
      AND (asked.person_id IS NULL
           OR asked.person_id COLLATE "C" = ANY (d.person_ids))
      AND j.error_code IS DISTINCT FROM :given_up)
    OR EXISTS (
   SELECT 1 FROM record_outcomes AS o JOIN jobs AS j ON j.id = o.job_id
    WHERE o.license_id = :license_id AND o.outcome = 'delivered'
      AND o.company_id = asked.company_id COLLATE "C"
      AND (asked.person_id IS NULL OR o.person_id = asked.person_id COLLATE "C")
      AND j.error_code IS DISTINCT FROM :given_up)
    OR EXISTS (
   SELECT 1 FROM record_outcomes AS o JOIN jobs AS j ON j.id = o.job_id
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
            "records": array(numbers),
            "companies": array(companies),
            "persons": array(persons),
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


Words = Mapping[int, str]
"""A column of which most records have nothing: what each has, by its place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeColumns:
    """What became of a batch's records, in their order; see `RecordOutcome`."""

    records: Sequence[int]
    company_ids: Sequence[str]
    person_ids: Sequence[str | None]
    outcomes: Sequence[str]
    email_found: Sequence[bool]
    phone_found: Sequence[bool]
    codes: Words = field(default_factory=dict)
    fields: Words = field(default_factory=dict)
    messages: Words = field(default_factory=dict)
    changes: Words = field(default_factory=dict)
    links: Words = field(default_factory=dict)

    def __len__(self) -> int:
        """How many records they are."""
        return len(self.records)

    @classmethod
    def of(cls, outcomes: Sequence[RecordOutcome]) -> "OutcomeColumns":
        """The columns of these outcomes."""
        return cls(
            records=[each.record for each in outcomes],
            company_ids=[each.company_id for each in outcomes],
            person_ids=[each.person_id for each in outcomes],
            outcomes=[each.outcome for each in outcomes],
            email_found=[each.email_found for each in outcomes],
            phone_found=[each.phone_found for each in outcomes],
            codes=_words([each.code for each in outcomes]),
            fields=_words([each.field for each in outcomes]),
            messages=_words([each.message for each in outcomes]),
            changes=_words([each.change for each in outcomes]),
            links=_words([each.link for each in outcomes]),
        )


def _words(column: Sequence[str | None]) -> Words:
    return {place: word for place, word in enumerate(column) if word is not None}


# A worker of before writes its records one by one, and one of now by batches: both of
# one record they cannot, for the chunk's cursor lets one of them through.
_RECORD = text("""
WITH batch AS (
  INSERT INTO outcome_batches
         (job_id, reservation_id, license_id, first_record, last_record, records,
          company_ids, person_ids, outcomes, email_found, phone_found, codes, fields,
          messages, changes, links)
  SELECT r.job_id, r.id, r.license_id, :first, :last, CAST(:records AS integer[]),
         CAST(:company_ids AS text[]), CAST(:person_ids AS text[]),
         CAST(:outcomes AS text[]), CAST(:email_found AS boolean[]),
         CAST(:phone_found AS boolean[]), CAST(:codes AS text[]),
         CAST(:fields AS text[]), CAST(:messages AS text[]),
         CAST(:changes AS text[]), CAST(:links AS text[])
    FROM reservations AS r WHERE r.job_id = :job_id
  RETURNING job_id, license_id, company_ids, person_ids, outcomes)
INSERT INTO delivered_companies (license_id, company_id, job_id, person_ids)
SELECT batch.license_id, company_id, batch.job_id,
       array_agg(person_id) FILTER (WHERE person_id IS NOT NULL)
  FROM batch
 CROSS JOIN LATERAL unnest(
         coalesce(CAST(:trimmed_companies AS text[]), company_ids),
         coalesce(CAST(:trimmed_persons AS text[]), person_ids), outcomes)
       AS each (company_id, person_id, outcome)
 WHERE outcome = 'delivered'
 GROUP BY batch.license_id, batch.job_id, company_id
""")


def record(
    connection: Connection,
    job_id: str,
    outcomes: Sequence[RecordOutcome],
) -> None:
    """Write down how records ended, one by one; as `record_columns`."""
    record_columns(connection, job_id, OutcomeColumns.of(outcomes))


def record_columns(
    connection: Connection, job_id: str, outcomes: OutcomeColumns
) -> None:
    """Write down how records ended, each once, in the order of their numbers.

    Fenced by what the caller did before.
    """
    count = len(outcomes)
    connection.execute(
        _RECORD,
        {
            "job_id": job_id,
            "first": outcomes.records[0],
            "last": outcomes.records[-1],
            "records": array(outcomes.records),
            "company_ids": array(outcomes.company_ids),
            "person_ids": array(outcomes.person_ids),
            "outcomes": array(outcomes.outcomes),
            "email_found": array(outcomes.email_found),
            "phone_found": array(outcomes.phone_found),
            "codes": _sparse(outcomes.codes, count),
            "fields": _sparse(outcomes.fields, count),
            "messages": _sparse(outcomes.messages, count),
            "changes": _sparse(outcomes.changes, count),
            "links": _sparse(outcomes.links, count),
            "trimmed_companies": _trimmed(outcomes.company_ids),
            "trimmed_persons": _trimmed(outcomes.person_ids),
        },
    )


def _trimmed(ids: Sequence[str | None]) -> str | None:
    """Ids of old quotes without white space around them; None where there is none."""
    trimmed = [each and each.strip() for each in ids]
    return None if trimmed == list(ids) else array(trimmed)


def _sparse(words: Words, count: int) -> str | None:
    """A column's array; none at all where no record has a word in it."""
    return array([words.get(place) for place in range(count)]) if words else None
