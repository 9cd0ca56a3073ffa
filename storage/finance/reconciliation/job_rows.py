"""A job as its rows have it: reservation, quote, transfers, charges, chunks, outcomes.

Read by themselves, so that each can be held against the others. Of a job that has
ended none of them changes any more.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, text

from storage.array_literals import array


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRow:
    """A job with all that says what it cost, as plain values.

    `quote` holds the columns of its quote, empty where there is none. What is summed is
    named for where it was summed.
    """

    reservation_id: int
    license_id: str
    period_id: int
    job_id: str
    state: str
    amount: int
    settled: int
    released: int
    job: Mapping[str, Any]
    quote: Mapping[str, Any]
    transferred: Mapping[str, int]
    charged: Mapping[str, int]
    chunked: Mapping[str, int]

    @property
    def has_ended(self) -> bool:
        """Whether nothing of it changes any more."""
        return self.state == "closed" and bool(self.job.get("finished"))


_JOBS = text("""
SELECT r.id AS reservation_id, r.license_id, r.period_id, r.job_id, r.state, r.amount,
       r.settled, r.released,
       coalesce((SELECT to_jsonb(one) FROM (
         SELECT j.license_id, j.user_id, j.kind, j.state, j.records, j.quote_id,
                j.error_code, j.file_artifact, j.file_bytes, j.file_sha256, j.keep_file,
                j.created_at, j.finished_at, r.closed_at,
                j.finished_at IS NOT NULL AS finished,
                extract(epoch FROM j.finished_at - r.closed_at) AS finished_after_s,
                extract(epoch FROM holdfast_now() - j.finished_at) AS age_s) AS one
         WHERE j.id IS NOT NULL), '{}') AS job,
       coalesce((SELECT to_jsonb(one) FROM (
         SELECT q.license_id, q.user_id, q.kind, q.retrieve, q.email_level, q.only_with,
                q.export, q.push, q.terms, q.quoted_at, q.max_credits, q.lines,
                q.records, q.excluded, q.input, q.columns, q.expires_at,
                j.created_at BETWEEN q.quoted_at AND q.expires_at AS was_valid) AS one
         WHERE q.id IS NOT NULL), '{}') AS quote,
       (SELECT to_jsonb(one) FROM (
         SELECT coalesce(sum(credits) FILTER (WHERE kind = 'reserve'), 0) AS reserve,
                coalesce(sum(credits) FILTER (WHERE kind = 'settle'), 0) AS settle,
                coalesce(sum(credits) FILTER (WHERE kind = 'release'), 0) AS release,
                count(*) FILTER (WHERE (license_id, period_id)
                                       <> (r.license_id, r.period_id)) AS others
           FROM transfers WHERE reservation_id = r.id) AS one) AS transferred,
       (SELECT to_jsonb(one) FROM (
         SELECT count(*), coalesce(sum(credits), 0) AS credits,
                count(*) FILTER (
                  WHERE (license_id, period_id, reservation_id, user_id)
                        IS DISTINCT FROM (r.license_id, r.period_id, r.id, j.user_id))
                  AS others
           FROM charges WHERE job_id = r.job_id) AS one) AS charged,
       (SELECT to_jsonb(one) FROM (
         SELECT coalesce(sum(stop - first), 0) AS records,
                coalesce(sum(delivered), 0) AS delivered,
                coalesce(sum(excluded), 0) AS excluded,
                coalesce(sum(rejected), 0) AS rejected,
                coalesce(sum(emails_found), 0) AS email,
                coalesce(sum(phones_found), 0) AS phone,
                coalesce(sum(created), 0) AS created,
                coalesce(sum(updated), 0) AS updated,
                coalesce(sum(unchanged), 0) AS unchanged
           FROM chunks WHERE job_id = r.job_id) AS one) AS chunked
  FROM reservations AS r
  LEFT JOIN jobs AS j ON j.id = r.job_id
  LEFT JOIN quotes AS q ON q.id = j.quote_id
 WHERE r.period_id = :period_id AND r.id > :after
 ORDER BY r.id LIMIT :limit
""")


def of_period(
    connection: Connection, period_id: int, *, after: int, limit: int
) -> list[JobRow]:
    """The jobs of a period behind a reservation, by its id."""
    rows = connection.execute(
        _JOBS, {"period_id": period_id, "after": after, "limit": limit}
    )
    return [JobRow(**row) for row in rows.mappings()]


class ChargeRow(NamedTuple):
    """A line of a job."""

    id: int
    item: str
    subject: str
    digest: str
    also_digest: str | None
    credits: int
    rule: str
    paid_by: int | None
    provider: str | None
    charged_at: datetime


_OF_SUBJECTS = text("""
SELECT c.*
  FROM unnest(CAST(:items AS text[]), CAST(:subjects AS text[])) AS a (item, subject)
 CROSS JOIN LATERAL (
       SELECT id, item, subject, digest, also_digest, credits, rule, paid_by, provider,
              charged_at
         FROM charges
        WHERE job_id = :job_id AND item = a.item COLLATE "C"
          AND subject = a.subject COLLATE "C" OFFSET 0) AS c
""")


def charges_for(
    connection: Connection, job_id: str, subjects: Collection[tuple[str, str]]
) -> list[ChargeRow]:
    """The lines that a job has for some items and subjects."""
    if not subjects:
        return []
    rows = connection.execute(
        _OF_SUBJECTS,
        {
            "job_id": job_id,
            "items": array([item for item, _ in subjects]),
            "subjects": array([subject for _, subject in subjects]),
        },
    )
    return [ChargeRow._make(row) for row in rows]


def charges_of(
    connection: Connection, job_id: str, *, after: int, limit: int
) -> list[ChargeRow]:
    """The lines of a job behind one, by id."""
    rows = connection.execute(
        text("""
            SELECT id, item, subject, digest, also_digest, credits, rule, paid_by,
                   provider, charged_at
              FROM charges WHERE job_id = :job_id AND id > :after
             ORDER BY id LIMIT :limit"""),
        {"job_id": job_id, "after": after, "limit": limit},
    )
    return [ChargeRow._make(row) for row in rows]


class FindingRow(NamedTuple):
    """What a provider answered of one item of a person, as it is kept."""

    person_id: str
    digest: str
    item: str
    provider: str
    value: str | None
    email_status: str | None
    found_at: datetime


def findings_of(
    connection: Connection, persons: Collection[str]
) -> Sequence[FindingRow]:
    """What is kept of some persons."""
    if not persons:
        return []
    rows = connection.execute(
        text("""
            SELECT f.person_id, f.digest, f.item, f.provider, f.value, f.email_status,
                   f.found_at
              FROM unnest(CAST(:persons AS text[])) AS asked (id)
              JOIN findings AS f ON f.person_id = asked.id COLLATE "C" """),
        {"persons": array(list(persons))},
    )
    return [FindingRow._make(row) for row in rows]


class DirectoryRow(NamedTuple):
    """What the house's directory says of a person now."""

    person_id: str
    email: str | None
    email_status: str
    phone: str | None


def directory_of(
    connection: Connection, persons: Collection[str]
) -> Sequence[DirectoryRow]:
    """What the directory says of some persons."""
    if not persons:
        return []
    rows = connection.execute(
        text("""
            SELECT d.person_id, d.email, d.email_status, d.phone
              FROM unnest(CAST(:persons AS text[])) AS asked (id)
              JOIN directory AS d ON d.person_id = asked.id COLLATE "C" """),
        {"persons": array(list(persons))},
    )
    return [DirectoryRow._make(row) for row in rows]


def mapped(
    connection: Connection, connection_id: str, keys: Collection[tuple[str, str]]
) -> set[tuple[str, str]]:
    """Which companies and persons, by kind and our id, the id map has for a CRM."""
    if not keys:
        return set()
    rows = connection.execute(
        text("""
            SELECT a.kind, a.id
              FROM unnest(CAST(:kinds AS text[]), CAST(:ids AS text[])) AS a (kind, id)
             WHERE EXISTS (
                   SELECT FROM id_map AS m
                    WHERE m.connection_id = :connection_id AND m.kind = a.kind
                      AND m.our_id IN (a.id, holdfast_trimmed(a.id)))"""),
        {
            "connection_id": connection_id,
            "kinds": array([kind for kind, _ in keys]),
            "ids": array([id_ for _, id_ in keys]),
        },
    )
    return {(row.kind, row.id) for row in rows}


def connector_of(connection: Connection, connection_id: str) -> str | None:
    """Which connector a connection has, where it is there still."""
    found: str | None = connection.execute(
        text("""
            SELECT connector FROM connections
             WHERE id = :id AND deleted_at IS NULL"""),
        {"id": connection_id},
    ).scalar_one_or_none()
    return found


def first_digests(
    connection: Connection, jobs: Collection[str], version: int
) -> dict[str, dict[str, str]]:
    """What was read of these jobs when they were first reconciled, as digests."""
    rows = connection.execute(
        text("""
            SELECT job_id, digest FROM reconciled_jobs
             WHERE version = :version
               AND job_id = ANY (CAST(:jobs AS text[]))"""),
        {"jobs": array(list(jobs)), "version": version},
    )
    return {row.job_id: row.digest for row in rows}


def keep_digests(
    connection: Connection, run_id: int, version: int, digests: Mapping[str, str]
) -> None:
    """Keep what was read of jobs for the first time, each by its digests as JSON."""
    if not digests:
        return
    connection.execute(
        text("""
            INSERT INTO reconciled_jobs (job_id, reconciliation_id, version, digest)
            SELECT job_id, :run_id, :version, CAST(digest AS jsonb)
              FROM unnest(CAST(:jobs AS text[]), CAST(:digests AS text[]))
                AS one (job_id, digest)
            ON CONFLICT (job_id, version) DO NOTHING"""),
        {
            "run_id": run_id,
            "version": version,
            "jobs": array(list(digests)),
            "digests": array(list(digests.values())),
        },
    )
