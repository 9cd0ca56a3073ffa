"""Read-only answers for people: jobs as the command line and the API show them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, text

from pricing.plans import Item
from pricing.settlement import Rule
from storage.held_jobs import PROVIDER_PAUSED, waiting_reason
from storage.job_priority import Priority
from storage.state_machine import ENDED, JobState


@dataclass(frozen=True, slots=True, kw_only=True)
class JobReport:
    """All that is said of a job, from one snapshot."""

    id: str
    kind: str
    state: JobState
    license_id: str
    user_id: str
    name: str | None
    retry_of: str | None
    priority: Priority
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    waiting_reason: str | None
    waiting_until: datetime | None
    reserved: int
    settled: int
    released: int
    refunded: int
    records: int
    delivered: int
    created: int
    updated: int
    unchanged: int
    excluded: int
    rejected: int
    unreached: int
    chunks: int
    chunks_done: int
    emails_found: int
    phones_found: int
    file_name: str | None
    file_artifact: str | None
    file_bytes: int | None
    file_sha256: str | None
    error_code: str | None
    error_detail: str | None


# What is paused says no time when it goes on, whenever its chunks look again.
_JOBS = f"""
SELECT j.id, j.kind, j.state, j.license_id, j.user_id, j.name, j.retry_of,
       j.priority, j.created_at, j.started_at, j.finished_at,
       waits.reason AS waiting_reason,
       CASE WHEN waits.reason = j.waiting_reason AND waits.reason <> '{PROVIDER_PAUSED}'
            THEN j.waiting_until END AS waiting_until,
       r.amount AS reserved, r.settled, r.released,
       (SELECT coalesce(sum(credits), 0)::bigint FROM refunds WHERE job_id = j.id)
         AS refunded,
       j.records, c.delivered, c.created, c.updated, c.unchanged, c.excluded,
       c.rejected,
       CASE WHEN j.finished_at IS NULL THEN 0
            ELSE j.records - c.delivered - c.excluded - c.rejected END AS unreached,
       c.chunks, c.chunks_done, c.emails_found, c.phones_found,
       j.file_name, j.file_artifact, j.file_bytes, j.file_sha256,
       j.error_code, j.error_detail
  FROM jobs AS j JOIN reservations AS r ON r.job_id = j.id
 CROSS JOIN LATERAL (
       SELECT count(*)::integer AS chunks,
              count(*) FILTER (WHERE state = 'done')::integer AS chunks_done,
              coalesce(sum(delivered), 0)::integer AS delivered,
              coalesce(sum(created), 0)::integer AS created,
              coalesce(sum(updated), 0)::integer AS updated,
              coalesce(sum(unchanged), 0)::integer AS unchanged,
              coalesce(sum(excluded), 0)::integer AS excluded,
              coalesce(sum(rejected), 0)::integer AS rejected,
              coalesce(sum(emails_found), 0)::integer AS emails_found,
              coalesce(sum(phones_found), 0)::integer AS phones_found
         FROM chunks WHERE job_id = j.id) AS c
 CROSS JOIN LATERAL (SELECT {waiting_reason("j")} AS reason) AS waits
"""  # noqa: S608 - constants only


_JOB = text(_JOBS + "WHERE j.id = :job_id")


def job(connection: Connection, job_id: str) -> JobReport | None:
    """One job."""
    row = connection.execute(_JOB, {"job_id": job_id}).mappings().one_or_none()
    return None if row is None else _report(dict(row))


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedJobs:
    """Which jobs to list; what is None does not matter. `before` is a job's id.

    `text` holds words of which each begins one of the name's, or the beginning of the
    id. They were created from `created_from` on, and before `created_to`.
    """

    license_id: str | None = None
    kind: str | None = None
    state: JobState | None = None
    user_id: str | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    text: str | None = None
    waiting_reason: str | None = None
    before: str | None = None


_WORDS_BEGIN = """
to_tsquery('simple'::regconfig, nullif(
  regexp_replace(btrim(holdfast_words(CAST(:text AS text))), ' +', ':* & ', 'g')
  || ':*', ':*'))
"""
_IS_NAMED = (
    "(j.name IS NOT NULL AND to_tsvector('simple'::regconfig, holdfast_words(j.name)) "
    f"@@ {_WORDS_BEGIN})"
)
_ID_BEGINS = "(j.id >= :text AND j.id < CAST(:text AS text) || chr(1114111))"
_LOOKED_AT, _MANY = 1_000, 10
"""Of so many of the newest jobs with a name; where so many have words, many have."""

# What is not asked for is not in the statement: a plan that serves all questions would
# read the jobs of all licenses. Those that have not ended have an index of their own.
_CONDITIONS = {
    "license_id": "j.license_id = :license_id",
    "kind": "j.kind = :kind",
    "state": "j.state = :state",
    "user_id": "j.user_id = :user_id",
    "created_from": "j.created_at >= :created_from",
    "created_to": "j.created_at < :created_to",
    "text": f"({_IS_NAMED} OR {_ID_BEGINS})",
    "waiting_reason": f"({waiting_reason('j')}) = :waiting_reason",
    "before": "(j.created_at, j.id) < ("
    "SELECT created_at, id FROM jobs WHERE id = :before)",
}
# Each change of an open job would cost an index of words, so there are only those of
# jobs that have ended. Where few have a word they are looked for first, by the word:
# else the newest jobs would be read through to the oldest. Where many have, the newest
# are soon enough.
_FEW_NAMED = f"""
j.id = ANY (ARRAY(
  SELECT j.id FROM jobs AS j WHERE j.finished_at IS NOT NULL AND {_IS_NAMED}
   UNION SELECT j.id FROM jobs AS j WHERE j.finished_at IS NULL AND {_IS_NAMED}
   UNION SELECT j.id FROM jobs AS j WHERE {_ID_BEGINS}))
"""  # noqa: S608 - constants
_OPEN, _HAS_ENDED = "j.finished_at IS NULL", "j.finished_at IS NOT NULL"


class Where(NamedTuple):
    """What holds for the jobs `j` that are wanted, and what it is asked with."""

    sql: str
    parameters: dict[str, object]


def where(connection: Connection, wanted: WantedJobs) -> Where:
    """How a statement of this transaction finds the jobs that are wanted."""
    given = {name: getattr(wanted, name) for name in _CONDITIONS}
    asked = {name: one for name, one in given.items() if one is not None}
    by = _CONDITIONS
    if wanted.text is not None and not _many_have(connection, wanted.text):
        by = by | {"text": _FEW_NAMED}
    conditions = [by[name] for name in asked]
    if wanted.state is not None:
        conditions.append(_HAS_ENDED if wanted.state in ENDED else _OPEN)
    elif wanted.waiting_reason is not None:
        conditions.append(_OPEN)
    parameters = {
        name: one.value if isinstance(one, JobState) else one
        for name, one in asked.items()
    }
    return Where(" AND ".join(conditions) or "true", parameters)


def _many_have(connection: Connection, words: str) -> bool:
    """Whether many jobs have these words in their names, by the newest of them."""
    found: int = connection.execute(
        text(f"""
            SELECT count(*) FROM (
              SELECT name FROM jobs WHERE name IS NOT NULL
               ORDER BY created_at DESC, id DESC LIMIT :looked_at) AS j
             WHERE {_IS_NAMED}"""),  # noqa: S608 - constants
        {"text": words, "looked_at": _LOOKED_AT},
    ).scalar_one()
    return found >= _MANY


def jobs(
    connection: Connection, wanted: WantedJobs, *, limit: int = 100
) -> list[JobReport]:
    """The newest jobs, or those that were made before one of them."""
    found = where(connection, wanted)
    rows = connection.execute(
        text(f"""
            {_JOBS} WHERE {found.sql}
             ORDER BY j.created_at DESC, j.id DESC LIMIT :limit"""),
        {**found.parameters, "limit": limit},
    ).mappings()
    return [_report(dict(row)) for row in rows]


def changed(
    connection: Connection, known: Mapping[str, str | None]
) -> list[tuple[JobReport, str]]:
    """Those of these jobs of which more can be said than is known, each with its mark.

    `known` has the mark that came with a job's last report, None for one of which
    nothing is known. What has not changed is found out by the database alone.
    """
    rows = connection.execute(
        text(f"""
            SELECT report.*, now_.mark FROM (
                   {_JOBS} WHERE j.id = ANY(CAST(:ids AS text[]))) AS report
             CROSS JOIN LATERAL (SELECT md5(report::text) AS mark) AS now_
              JOIN unnest(CAST(:ids AS text[]), CAST(:marks AS text[]))
                AS known (id, mark) ON known.id = report.id
             WHERE known.mark IS DISTINCT FROM now_.mark"""),  # noqa: S608 - a constant
        {"ids": list(known), "marks": list(known.values())},
    ).mappings()
    found = [dict(row) for row in rows]
    marks = [str(row.pop("mark")) for row in found]
    return list(zip(map(_report, found), marks, strict=True))


def _report(row: dict[str, object]) -> JobReport:
    values = row | {
        "state": JobState(str(row["state"])),
        "priority": Priority(int(str(row["priority"]))),
    }
    return JobReport(**values)  # type: ignore[arg-type]


class ChargeSum(NamedTuple):
    """All charges of one item by one rule."""

    item: Item
    rule: Rule
    lines: int
    credits: int


def charge_sums(connection: Connection, job_id: str) -> list[ChargeSum]:
    """What a job was charged, by item and rule."""
    rows = connection.execute(
        text("""
            SELECT item, rule, count(*), sum(credits) FROM charges
             WHERE job_id = :job_id GROUP BY item, rule ORDER BY item, rule"""),
        {"job_id": job_id},
    )
    return [
        ChargeSum(Item(item), Rule(rule), lines, int(credits_))
        for item, rule, lines, credits_ in rows
    ]
