"""What is paused besides jobs: a license, a connection, a provider, everything.

A pause is a row that all who hand out, take and end work look at; a job keeps its state
meanwhile. Its deadlines stand still while any pause is over it: when the last one is
lifted they have moved by as long as it was held, however many there were.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, text

from storage.held_jobs import PROVIDER_PAUSED
from storage.pause_scope import PauseScope

_CHANGES_LOCK = 4_846_025
"""An advisory lock: of two pauses that are lifted at once, one is the last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopePause:
    """What is paused, why, by whom and since when."""

    scope: PauseScope
    subject: str
    reason: str
    paused_by: str
    paused_at: datetime


def pause(
    connection: Connection, scope: PauseScope, subject: str, *, reason: str, by: str
) -> bool:
    """Pause something; whether it was not paused before."""
    _let_one_change(connection)
    made = connection.execute(
        text("""
            INSERT INTO scope_pauses (scope, subject, reason, paused_by, paused_at)
            VALUES (:scope, :subject, :reason, :by, holdfast_now())
            ON CONFLICT (scope, subject) DO NOTHING"""),
        {"scope": scope.value, "subject": subject, "reason": reason, "by": by},
    )
    return made.rowcount == 1


def _let_one_change(connection: Connection) -> None:
    connection.execute(
        text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _CHANGES_LOCK}
    )


_COVERS = """
(p.scope = 'everything'
 OR (p.scope = 'license' AND p.subject = j.license_id)
 OR (p.scope = 'connection' AND p.subject = q.push ->> 'connection')
 OR (p.scope = 'provider' AND q.retrieve <> '{}'))
"""
"""Whether a pause is over a job."""

# Where another pause holds a job on it remembers since when: by the end of that one,
# the one that began it may be gone.
_LIFT = text(f"""
WITH p AS (
  DELETE FROM scope_pauses WHERE scope = :scope AND subject = :subject RETURNING *),
covered AS (
  SELECT j.id, others.since IS NOT NULL AS is_held_on,
         coalesce(j.held_since,
                  greatest(j.created_at, least(p.paused_at, others.since))) AS since
    FROM p CROSS JOIN jobs AS j JOIN quotes AS q ON q.id = j.quote_id
   CROSS JOIN LATERAL (
         SELECT min(p.paused_at) AS since FROM scope_pauses AS p
          WHERE (p.scope, p.subject) <> (:scope, :subject) AND {_COVERS}) AS others
   WHERE j.finished_at IS NULL AND {_COVERS})
SELECT id, is_held_on, since,
       greatest(0, extract(epoch FROM now_.at - since))::double precision AS held_s
  FROM covered CROSS JOIN (SELECT holdfast_now() AS at) AS now_
 UNION ALL
SELECT NULL, NULL, NULL, NULL FROM p
""")  # noqa: S608 - constants only

_HELD = "unnest(CAST(:ids AS text[]), CAST(:held_s AS double precision[]))"

# In the order of locks. None moves further than it would have been set anew.
_MOVE_DEADLINES = (
    text(f"""
        UPDATE lookups SET deadline = deadline + make_interval(
                 secs => least(held.s, extract(epoch FROM clock_timestamp()
                                               - lookups.created_at)))
          FROM {_HELD} AS held (job_id, s)
         WHERE lookups.job_id = held.job_id COLLATE "C"
           AND lookups.ended_at IS NULL"""),  # noqa: S608 - a constant
    text(f"""
        UPDATE chunks SET conclude_at = greatest(conclude_at, least(
                 conclude_at + make_interval(secs => held.s),
                 holdfast_clock() + make_interval(secs => :doubt_s)))
          FROM {_HELD} AS held (job_id, s)
         WHERE chunks.job_id = held.job_id COLLATE "C" AND chunks.id IN (
               SELECT id FROM chunks
                WHERE job_id = ANY (CAST(:ids AS text[])) AND conclude_at IS NOT NULL
                  AND state IN ('pending', 'dispatched', 'running')
                ORDER BY id FOR NO KEY UPDATE)"""),  # noqa: S608 - a constant
    text(f"""
        UPDATE reservations AS r SET deadline_at = greatest(r.deadline_at, least(
                 r.deadline_at + make_interval(secs => held.s),
                 holdfast_now() + make_interval(secs => r.lifetime_s)))
          FROM {_HELD} AS held (job_id, s)
         WHERE r.job_id = held.job_id COLLATE "C" AND r.state = 'open'"""),  # noqa: S608 - a constant
    text("""
        UPDATE jobs SET held_since = NULL
         WHERE held_since IS NOT NULL AND id = ANY (CAST(:ids AS text[]))"""),
)


def lift(
    connection: Connection, scope: PauseScope, subject: str, *, doubt_s: float
) -> bool:
    """Let something go on; whether it was paused.

    `doubt_s` is for how long at most it is asked on what became of what a cancelled
    job may have sent.
    """
    _let_one_change(connection)
    rows = connection.execute(_LIFT, {"scope": scope.value, "subject": subject}).all()
    if not rows:
        return False
    jobs = [row for row in rows if row.id is not None]
    released = [row for row in jobs if not row.is_held_on]
    held_on = [row for row in jobs if row.is_held_on]
    if scope is PauseScope.PROVIDER:
        _wake(connection)
    for move in _MOVE_DEADLINES:
        connection.execute(
            move,
            {
                "ids": [row.id for row in released],
                "held_s": [row.held_s for row in released],
                "doubt_s": doubt_s,
            },
        )
    connection.execute(
        text("""
            UPDATE jobs SET held_since = held.since
              FROM unnest(CAST(:ids AS text[]), CAST(:since AS timestamptz[]))
                AS held (job_id, since)
             WHERE jobs.id = held.job_id COLLATE "C" """),
        {
            "ids": [row.id for row in held_on],
            "since": [row.since for row in held_on],
        },
    )
    return True


def _wake(connection: Connection) -> None:
    """Let those look again that waited for a provider; another may be paused still."""
    connection.execute(
        text("""
            UPDATE chunks SET run_at = clock_timestamp()
             WHERE id IN (
               SELECT id FROM chunks
                WHERE state = 'pending' AND run_at > clock_timestamp()
                  AND job_id IN (SELECT id FROM jobs
                                  WHERE finished_at IS NULL
                                    AND waiting_reason = :reason)
                ORDER BY id FOR NO KEY UPDATE)"""),
        {"reason": PROVIDER_PAUSED},
    )
    connection.execute(
        text("""
            UPDATE jobs SET waiting_reason = NULL, waiting_until = NULL
             WHERE finished_at IS NULL AND waiting_reason = :reason"""),
        {"reason": PROVIDER_PAUSED},
    )


def get(connection: Connection, scope: PauseScope, subject: str) -> ScopePause | None:
    """The pause of something, if it is paused."""
    row = connection.execute(
        text("""
            SELECT scope, subject, reason, paused_by, paused_at FROM scope_pauses
             WHERE scope = :scope AND subject = :subject"""),
        {"scope": scope.value, "subject": subject},
    ).one_or_none()
    return None if row is None else _pause(row)


def over_job(connection: Connection, job_id: str) -> list[ScopePause]:
    """The pauses that are over a job, the longest first."""
    rows = connection.execute(
        text(f"""
            SELECT p.scope, p.subject, p.reason, p.paused_by, p.paused_at
              FROM jobs AS j JOIN quotes AS q ON q.id = j.quote_id
              JOIN scope_pauses AS p ON {_COVERS}
             WHERE j.id = :job_id ORDER BY p.paused_at, p.scope, p.subject"""),  # noqa: S608 - a constant
        {"job_id": job_id},
    )
    return [_pause(row) for row in rows]


def page(
    connection: Connection,
    *,
    license_id: str | None = None,
    after: tuple[str, str] = ("", ""),
    limit: int = 100,
) -> list[ScopePause]:
    """What is paused, by scope and subject; of a license alone it and what it has."""
    rows = connection.execute(
        text("""
            SELECT scope, subject, reason, paused_by, paused_at FROM scope_pauses
             WHERE (scope COLLATE "C", subject) > (:scope, :subject)
               AND (CAST(:license_id AS text) IS NULL
                 OR (scope = 'license' AND subject = :license_id)
                 OR (scope = 'connection' AND subject IN (
                     SELECT id FROM connections WHERE license_id = :license_id)))
             ORDER BY scope COLLATE "C", subject LIMIT :limit"""),
        {
            "license_id": license_id,
            "scope": after[0],
            "subject": after[1],
            "limit": limit,
        },
    )
    return [_pause(row) for row in rows]


def _pause(row: Row[Any]) -> ScopePause:
    return ScopePause(**row._asdict() | {"scope": PauseScope(row.scope)})
