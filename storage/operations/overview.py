"""The overview: what waits and runs, who works, and what is behind, in one statement.

It is looked at each second while anybody watches: nothing here reads what has ended.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, text

from storage.held_jobs import is_held, waiting_reason
from storage.operations.processes import ProcessState, state_of
from storage.operations.scope_pauses import ScopePause
from storage.pause_scope import PauseScope

SMALL, LARGE = "small", "chunks"
"""The queues of chunks, as the broker has them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenJob:
    """A job that has not ended; `done` are its records with an outcome."""

    id: str
    license_id: str
    kind: str
    name: str | None
    state: str
    waiting_reason: str | None
    records: int
    done: int
    rejected: int
    reserved: int
    settled: int
    created_at: datetime
    started_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueFigures:
    """A queue of chunks: those that wait here, lie in the broker, and run.

    `records` is at most so many that have yet to be done, of jobs that may run;
    `oldest_s` is how long the chunk has waited that waits the longest.
    """

    name: str
    jobs: int
    waiting: int
    dispatched: int
    running: int
    records: int
    oldest_s: float

    def drains_in_s(self, records_s: float) -> float | None:
        """How long it takes at this pace, if nothing comes; None where all stands."""
        if not self.records:
            return 0.0
        return self.records / records_s if records_s else None


class OutboxFigures(NamedTuple):
    """Entries that are not done, those that have failed before, and the oldest due."""

    waiting: int
    failing: int
    oldest_s: float


class ChoreRun(NamedTuple):
    """When a chore of the dispatcher was done last."""

    name: str
    done_at: datetime
    age_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessRow:
    """A worker or a dispatcher; `chunks` is how many it and its children run."""

    id: str
    role: str
    host: str | None
    version: str | None
    rss_bytes: int | None
    started_at: datetime
    seen_age_s: float
    chunks: int
    entries: int
    state: ProcessState


class AuditFigures(NamedTuple):
    """When the last audit ended, and how many broken promises nobody acknowledged."""

    audited_at: datetime | None
    violations: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """How everything stands at one instant."""

    at: datetime
    jobs_by_state: dict[str, int]
    jobs: tuple[OpenJob, ...]
    queues: tuple[QueueFigures, ...]
    outbox: OutboxFigures
    chores: tuple[ChoreRun, ...]
    processes: tuple[ProcessRow, ...]
    audit: AuditFigures
    records_s: float
    """Records that were done in a second of the last five minutes."""
    credits_reserved: int
    pauses: tuple[ScopePause, ...]
    """What operators hold of more than a job, everything first; at most so many."""
    pauses_total: int

    @property
    def more_jobs(self) -> int:
        """How many more jobs are open than `jobs` shows."""
        return sum(self.jobs_by_state.values()) - len(self.jobs)

    def held(self, scope: PauseScope) -> dict[str, ScopePause]:
        """What is paused of a kind, by its id."""
        return {one.subject: one for one in self.pauses if one.scope is scope}


# Of a job that a pause holds nothing waits for a worker.
_OPEN = f"""
  SELECT j.id, j.license_id, j.kind, j.name, j.state,
         {waiting_reason("j")} AS waiting_reason, j.records,
         j.open_chunks, j.created_at, j.started_at,
         CASE WHEN j.records <= :small_job_records THEN 'small' ELSE 'chunks' END
           AS queue,
         j.state IN ('queued', 'running') AND NOT {is_held("j")} AS may_run
    FROM jobs AS j WHERE j.finished_at IS NULL
"""  # noqa: S608 - constants only

# The chunk that a job hands out next stands for all that wait of it: they were made
# together. Of many jobs that wait the oldest are looked at.
_LOOK = text(
    f"WITH open AS MATERIALIZED ({_OPEN}),"  # noqa: S608 - a constant
    """
flight AS MATERIALIZED (
  SELECT job_id, count(*) FILTER (WHERE state = 'dispatched') AS dispatched,
         count(*) FILTER (WHERE state = 'running') AS running
    FROM chunks WHERE state IN ('dispatched', 'running') GROUP BY job_id),
queues AS (
  SELECT o.queue AS name, count(*) FILTER (WHERE may_run) AS jobs,
         coalesce(sum(greatest(0, open_chunks - coalesce(dispatched + running, 0)))
           FILTER (WHERE may_run), 0) AS waiting,
         coalesce(sum(dispatched), 0) AS dispatched,
         coalesce(sum(running), 0) AS running,
         coalesce(sum(least(records, open_chunks::bigint * :chunk_records))
           FILTER (WHERE may_run), 0) AS records
    FROM open AS o LEFT JOIN flight AS f ON f.job_id = o.id GROUP BY o.queue),
oldest AS (
  SELECT queue, max(extract(epoch FROM clock_timestamp() - next.run_at)) AS age_s
    FROM (SELECT id, queue, row_number() OVER (PARTITION BY queue
                                               ORDER BY created_at, id) AS place
            FROM open WHERE may_run) AS o
   CROSS JOIN LATERAL (
         SELECT run_at FROM chunks WHERE job_id = o.id AND state = 'pending'
          ORDER BY first LIMIT 1) AS next
   WHERE o.place <= :looked_at AND next.run_at <= clock_timestamp() GROUP BY queue),
shown AS (
  SELECT o.id, o.license_id, o.kind, o.name, o.state, o.waiting_reason, o.records,
         o.created_at, o.started_at, c.done, c.rejected, r.amount AS reserved, r.settled
    FROM (SELECT * FROM open
           ORDER BY state <> 'running', created_at, id LIMIT :shown) AS o
    JOIN reservations AS r ON r.job_id = o.id
   CROSS JOIN LATERAL (
         SELECT coalesce(sum(cursor - first), 0) AS done,
                coalesce(sum(rejected), 0) AS rejected
           FROM chunks WHERE job_id = o.id) AS c)
SELECT clock_timestamp() AS at,
       (SELECT coalesce(jsonb_object_agg(state, n), '{}')
          FROM (SELECT state, count(*) AS n FROM open GROUP BY state) AS s) AS states,
       (SELECT coalesce(jsonb_agg(to_jsonb(shown)
                 ORDER BY state <> 'running', created_at, id), '[]')
          FROM shown) AS jobs,
       (SELECT coalesce(jsonb_agg(to_jsonb(q) || jsonb_build_object(
                 'oldest_s', coalesce(age_s, 0))), '[]')
          FROM queues AS q LEFT JOIN oldest ON oldest.queue = q.name) AS queues,
       (SELECT jsonb_build_array(
                 count(*), count(*) FILTER (WHERE last_error IS NOT NULL),
                 coalesce(max(extract(epoch FROM clock_timestamp() - run_at))
                   FILTER (WHERE state = 'pending' AND run_at <= clock_timestamp()), 0))
          FROM outbox WHERE state <> 'done') AS outbox,
       (SELECT coalesce(jsonb_agg(jsonb_build_array(name, done_at,
                 extract(epoch FROM clock_timestamp() - done_at)) ORDER BY name), '[]')
          FROM chore_runs) AS chores,
       (SELECT coalesce(jsonb_agg(to_jsonb(p) ORDER BY role, started_at, id), '[]')
          FROM (SELECT id, role, host, version, rss_bytes, started_at,
                       extract(epoch FROM clock_timestamp() - seen_at) AS seen_age_s,
                       draining_since IS NOT NULL AS drains,
                       drain_asked_at IS NOT NULL AS is_to_drain,
                       (SELECT count(*) FROM chunks
                         WHERE state = 'running'
                           AND split_part(owner, '/', 1) = processes.id) AS chunks,
                       (SELECT count(*) FROM outbox
                         WHERE state = 'running'
                           AND split_part(owner, '/', 1) = processes.id) AS entries
                  FROM processes) AS p) AS processes,
       (SELECT max(finished_at) FROM audit_runs) AS audited_at,
       (SELECT coalesce(sum(delivered + excluded + rejected) / sum(width_s), 0)
          FROM history
         WHERE width_s = 60 AND at >= clock_timestamp() - interval '6 minutes')
         AS records_s,
       (SELECT count(*) FROM audit_violations AS v
         WHERE cleared_at IS NULL AND NOT EXISTS (
               SELECT 1 FROM audit_acknowledgements WHERE violation_id = v.id))
         AS violations,
       (SELECT coalesce(sum(amount - settled), 0)
          FROM reservations WHERE state = 'open') AS credits_reserved,
       (SELECT coalesce(jsonb_agg(to_jsonb(p)
                 ORDER BY place, paused_at, subject), '[]')
          FROM (SELECT *, array_position(
                       '{everything,provider,license,connection}', scope) AS place
                  FROM scope_pauses ORDER BY place, paused_at, subject
                 LIMIT :pauses_shown) AS p) AS pauses,
       (SELECT count(*) FROM scope_pauses) AS pauses_total
"""
)

_LOOKED_AT = 200
_PAUSES_SHOWN = 50


def look(
    connection: Connection,
    *,
    small_job_records: int,
    chunk_records: int,
    silent_after_s: float,
    jobs_shown: int = 20,
) -> Overview:
    """Look at everything that is open; the jobs that run come first, the oldest."""
    row = connection.execute(
        _LOOK,
        {
            "small_job_records": small_job_records,
            "chunk_records": chunk_records,
            "looked_at": _LOOKED_AT,
            "shown": jobs_shown,
            "pauses_shown": _PAUSES_SHOWN,
        },
    ).one()
    queues = {one["name"]: QueueFigures(**one) for one in row.queues}
    return Overview(
        at=row.at,
        jobs_by_state=row.states,
        jobs=tuple(map(_job, row.jobs)),
        queues=tuple(queues.get(name) or _empty(name) for name in (SMALL, LARGE)),
        outbox=OutboxFigures(*row.outbox),
        chores=tuple(ChoreRun(n, _instant(at), s) for n, at, s in row.chores),
        processes=tuple(_process(one, silent_after_s) for one in row.processes),
        audit=AuditFigures(row.audited_at, row.violations),
        records_s=float(row.records_s),
        credits_reserved=int(row.credits_reserved),
        pauses=tuple(map(_pause, row.pauses)),
        pauses_total=row.pauses_total,
    )


def _job(one: dict[str, Any]) -> OpenJob:
    began = one["started_at"]
    return OpenJob(
        **one
        | {
            "created_at": _instant(one["created_at"]),
            "started_at": _instant(began) if began else None,
        }
    )


def _process(one: dict[str, Any], silent_after_s: float) -> ProcessRow:
    state = state_of(
        is_silent=one["seen_age_s"] > silent_after_s,
        drains=one.pop("drains"),
        is_to_drain=one.pop("is_to_drain"),
        is_busy=bool(one["chunks"] or one["entries"]),
    )
    began = {"started_at": _instant(one["started_at"])}
    return ProcessRow(**one | began, state=state)


def _pause(one: dict[str, Any]) -> ScopePause:
    return ScopePause(
        scope=PauseScope(one["scope"]),
        subject=one["subject"],
        reason=one["reason"],
        paused_by=one["paused_by"],
        paused_at=_instant(one["paused_at"]),
    )


def _instant(at: str) -> datetime:
    return datetime.fromisoformat(at)


def _empty(name: str) -> QueueFigures:
    return QueueFigures(
        name=name, jobs=0, waiting=0, dispatched=0, running=0, records=0, oldest_s=0
    )
