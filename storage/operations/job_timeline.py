"""A job's timeline: what became of it, in order, with who and why."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, text


class Happened(StrEnum):
    """What an entry of a timeline tells of."""

    CREATED = "created"
    STARTED = "started"
    CHANGED = "changed"
    FINISHED = "finished"
    RETRIED = "retried"
    HELD = "held"
    """Its license, its connection, a provider or everything was paused."""
    LET_GO = "let_go"
    """What was paused of more than the job goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What happened to a job at an instant of business time.

    `actor` is None where nobody acted: the job went its way, or a sweep moved it; who
    made it is a `user`. `job_id` names the other job of a retry: who retries this one,
    or, of its making, whom it retries. `of` names what was held or let go on: `license
    acme`, `everything`; from where the house did so is not told.
    """

    at: datetime
    what: Happened
    from_state: str | None
    to_state: str | None
    waiting_reason: str | None
    error_code: str | None
    user: str | None
    actor: str | None
    origin: str | None
    verb: str | None
    reason: str | None
    action_id: int | None
    job_id: str | None
    of: str | None


# A job that was given up changed to its last state by somebody's action. Actions have
# the database's own time, and stand here by business time as it runs now.
_TIMELINE = text("""
WITH entries AS (
  SELECT created_at AS at, 0 AS place, 0 AS number, 'created' AS what,
         CAST(NULL AS text) AS from_state, 'queued' AS to_state,
         CAST(NULL AS text) AS waiting_reason, CAST(NULL AS text) AS error_code,
         user_id AS "user", CAST(NULL AS bigint) AS action_id, retry_of AS job_id
    FROM jobs WHERE id = :job_id
  UNION ALL
  SELECT started_at, 1, 0, 'started', 'queued', 'running', NULL, NULL, NULL, NULL, NULL
    FROM jobs WHERE id = :job_id AND started_at IS NOT NULL
  UNION ALL
  SELECT at, 2, id, 'changed', from_state, to_state, waiting_reason, NULL, NULL,
         action_id, NULL
    FROM job_changes WHERE job_id = :job_id AND to_state <> 'failed'
  UNION ALL
  SELECT finished_at, 3, 0, 'finished', 'finishing', state, NULL, error_code, NULL,
         (SELECT action_id FROM job_changes
           WHERE job_id = jobs.id AND to_state = 'failed'), NULL
    FROM jobs WHERE id = :job_id AND finished_at IS NOT NULL
  UNION ALL
  SELECT made.created_at, 4, 0, 'retried', NULL, NULL, NULL, NULL, made.user_id,
         (SELECT max(id) FROM actions
           WHERE target_kind = 'job' AND target = :job_id AND verb = 'retry'), made.id
    FROM jobs AS made WHERE made.retry_of = :job_id),
scopes AS (
  SELECT s.kind, s.target FROM jobs AS j JOIN quotes AS q ON q.id = j.quote_id
   CROSS JOIN LATERAL (
         VALUES ('everything', 'everything' COLLATE "C"), ('license', j.license_id),
                ('connection', (q.push ->> 'connection') COLLATE "C"))
           AS s (kind, target)
   WHERE j.id = :job_id
  UNION ALL
  SELECT DISTINCT 'provider', a.target COLLATE "C"
    FROM actions AS a JOIN jobs AS j ON j.id = :job_id
    JOIN quotes AS q ON q.id = j.quote_id
   WHERE a.target_kind = 'provider' AND q.retrieve <> '{}'),
holds AS (
  SELECT a.id, a.at + (holdfast_now() - clock_timestamp()) AS at, a.verb, a.actor,
         CASE WHEN a.license_id IS NOT NULL THEN a.origin END AS origin, a.reason,
         concat_ws(' ', s.kind, nullif(s.target, 'everything' COLLATE "C")) AS named
    FROM scopes AS s JOIN actions AS a
         ON a.target_kind = s.kind AND a.target = s.target
        AND a.verb IN ('pause', 'resume'))
SELECT e.at, e.what, e.from_state, e.to_state, e.waiting_reason, e.error_code, e."user",
       a.actor, a.origin, a.verb, a.reason, e.action_id, e.job_id,
       CAST(NULL AS text) AS "of", e.place, e.number
  FROM entries AS e LEFT JOIN actions AS a ON a.id = e.action_id
 UNION ALL
SELECT h.at, CASE h.verb WHEN 'pause' THEN 'held' ELSE 'let_go' END, NULL, NULL, NULL,
       NULL, NULL, h.actor, h.origin, h.verb, h.reason, h.id, NULL, h.named, 2, h.id
  FROM holds AS h JOIN jobs AS j ON j.id = :job_id
 WHERE h.at BETWEEN j.created_at AND coalesce(j.finished_at, h.at)
 ORDER BY at, place, number
""")


def of_job(connection: Connection, job_id: str) -> list[Entry]:
    """All that happened to a job; nothing where there is none."""
    rows = connection.execute(_TIMELINE, {"job_id": job_id}).mappings()
    return [_entry(dict(row)) for row in rows]


def _entry(row: dict[str, Any]) -> Entry:
    del row["place"], row["number"]
    return Entry(**row | {"what": Happened(row["what"])})
