"""What waits for a worker, and what has been handed to the broker."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, text

from storage.held_jobs import is_held
from storage.job_priority import Priority
from storage.webhooks.webhook_deliveries import DELIVER

_LEADER = 4_846_002
"""An advisory lock: several dispatchers may run, one acts."""


class Waiting(NamedTuple):
    """A chunk that could be handed to the broker now."""

    license_id: str
    job_id: str
    job_records: int
    chunk_id: int
    records: int
    priority: int = Priority.NORMAL


def lead(connection: Connection) -> bool:
    """Whether this transaction is the one that dispatches; it ends with it."""
    leads: bool = connection.execute(
        text("SELECT pg_try_advisory_xact_lock(:lock)"),
        {"lock": _LEADER},
    ).scalar_one()
    return leads


# What is in doubt is found out of a cancelled job too.
# Only jobs that have something to hand out take one of their license's places, and
# those of each priority have their own: the oldest and the most urgent are both seen.
_WAITING = text(f"""
WITH ready AS (
  SELECT j.id, j.license_id, j.records, j.created_at, j.state, j.priority,
         busy.chunks AS busy
    FROM jobs AS j
   CROSS JOIN LATERAL (
         SELECT count(*) AS chunks FROM chunks
          WHERE job_id = j.id AND state IN ('dispatched', 'running')) AS busy
   WHERE j.finished_at IS NULL AND j.state IN ('queued', 'running', 'cancelling')
     AND NOT {is_held("j")} AND busy.chunks < :window
     AND EXISTS (SELECT 1 FROM chunks
                  WHERE job_id = j.id AND state = 'pending'
                    AND run_at <= clock_timestamp() - make_interval(secs =>
                          CASE WHEN j.records <= :small_job_records
                               THEN :head_start_s ELSE 0 END)
                    AND (j.state <> 'cancelling' OR doubted_at IS NOT NULL))),
ranked AS (
  SELECT *, row_number() OVER (PARTITION BY license_id, records <= :small_job_records,
                                            priority
                               ORDER BY created_at, id) AS turn
    FROM ready)
SELECT r.license_id, r.id AS job_id, r.records AS job_records, c.id AS chunk_id,
       c.stop - c.cursor AS records, r.priority
  FROM ranked AS r
 CROSS JOIN LATERAL (
       SELECT id, cursor, stop, first FROM chunks
        WHERE job_id = r.id AND state = 'pending' AND run_at <= clock_timestamp()
          AND (r.state <> 'cancelling' OR doubted_at IS NOT NULL)
        ORDER BY first LIMIT :window - r.busy) AS c
 WHERE r.turn <= :jobs_a_license
 ORDER BY r.created_at, r.id, c.first
""")  # noqa: S608 - constants only


def waiting(
    connection: Connection,
    *,
    window: int,
    small_job_records: int = 0,
    head_start_s: float = 0,
    jobs_a_license: int = 20,
) -> list[Waiting]:
    """Chunks that may go, oldest job first, at most `window` of a job in flight.

    Of each license so many jobs of each priority are looked at, and as many small ones
    beside them. What waits of small jobs is left for `head_start_s` to those who take
    it by themselves.
    """
    rows = connection.execute(
        _WAITING,
        {
            "window": window,
            "small_job_records": small_job_records,
            "head_start_s": head_start_s,
            "jobs_a_license": jobs_a_license,
        },
    )
    return list(map(Waiting._make, rows))


def weights(connection: Connection, license_ids: Iterable[str]) -> dict[str, float]:
    """What those of some licenses weigh that do not weigh 1."""
    rows = connection.execute(
        text("""
            SELECT id, weight::double precision FROM licenses
             WHERE id = ANY (CAST(:ids AS text[])) AND weight <> 1"""),
        {"ids": sorted(license_ids)},
    )
    return {row.id: row.weight for row in rows}


# A license's oldest is overtaken three times at most, as the scheduler has it. Each
# license's first comes before any's second, then they go by weight.
_WAITING_SMALL = text(f"""
SELECT id FROM (
  SELECT c.id, j.license_id,
         row_number() OVER (PARTITION BY j.license_id
                            ORDER BY j.priority DESC, j.created_at, c.id) AS turn,
         min(c.id) OVER (PARTITION BY j.license_id) AS oldest
    FROM jobs AS j JOIN chunks AS c ON c.job_id = j.id
   WHERE j.finished_at IS NULL AND j.state IN ('queued', 'running', 'cancelling')
     AND j.records <= :small_job_records AND NOT {is_held("j")}
     AND c.state = 'pending' AND c.run_at <= clock_timestamp()
     AND (j.state <> 'cancelling' OR c.doubted_at IS NOT NULL)) AS waiting
  JOIN (SELECT id AS license_id, weight::double precision FROM licenses) AS l
 USING (license_id)
 WHERE turn <= :limit OR waiting.id = oldest
 ORDER BY (CASE WHEN id = oldest THEN least(turn, 3.5) ELSE turn END - 1) / weight, id
 LIMIT :limit
""")  # noqa: S608 - constants only


def waiting_small(
    connection: Connection, *, small_job_records: int, limit: int
) -> list[int]:
    """Chunks of small jobs that may be taken, in the order of their turns.

    Each license's first is before any other's second, then they go by weight; within
    a license by priority and age.
    """
    rows = connection.execute(
        _WAITING_SMALL, {"small_job_records": small_job_records, "limit": limit}
    )
    return list(rows.scalars())


class InFlight(NamedTuple):
    """Chunks that wait in the broker, by queue, and those that workers run."""

    dispatched: Mapping[str, int]
    running: int


def in_flight(connection: Connection) -> InFlight:
    """How many chunks the broker or a worker holds."""
    rows = connection.execute(
        text("""
            SELECT sent_to,
                   count(*) FILTER (WHERE state = 'dispatched') AS dispatched,
                   count(*) FILTER (WHERE state = 'running') AS running
              FROM chunks WHERE state IN ('dispatched', 'running')
             GROUP BY sent_to"""),
    ).all()
    return InFlight(
        {queue: dispatched for queue, dispatched, _ in rows},
        sum(running for _, _, running in rows),
    )


def mark_chunks(
    connection: Connection, chunk_ids: Sequence[int], queue: str
) -> list[int]:
    """Mark chunks as handed to a queue in this order; return those that waited.

    `dispatched_at` keeps the order, by microseconds: what was sent first is what a
    broker gives out first.
    """
    rows = connection.execute(
        text("""
            UPDATE chunks AS c
               SET state = 'dispatched', sent_to = :queue,
                   dispatched_at = statement_timestamp()
                     + given.place * interval '1 microsecond'
              FROM unnest(CAST(:ids AS bigint[])) WITH ORDINALITY AS given (id, place)
             WHERE c.id = given.id
               AND c.id IN (SELECT id FROM chunks
                             WHERE id = ANY (CAST(:ids AS bigint[]))
                               AND state = 'pending'
                             ORDER BY id FOR NO KEY UPDATE SKIP LOCKED)
            RETURNING c.id"""),
        {"ids": list(chunk_ids), "queue": queue},
    )
    return sorted(rows.scalars())


_MARK_ENTRIES = text("""
UPDATE outbox SET state = 'dispatched', dispatched_at = statement_timestamp()
 WHERE id = ANY (ARRAY(
   SELECT id FROM outbox
    WHERE state = 'pending' AND run_at <= clock_timestamp()
      AND (topic <> :slow OR id IN (
           SELECT id FROM outbox
            WHERE topic = :slow AND state = 'pending' AND run_at <= clock_timestamp()
            ORDER BY id
            LIMIT greatest(0, :slow_max - (
                  SELECT count(*) FROM outbox
                   WHERE topic = :slow AND state IN ('dispatched', 'running')))))
    ORDER BY id LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED))
RETURNING id
""")
# An array is made once. What stands in an IN may be looked for again for each row, and
# then finds others than those that are locked by now: more than the limit.


def mark_entries(
    connection: Connection,
    *,
    limit: int,
    deliveries_max: int = 64,
) -> list[int]:
    """Mark outbox entries that are due as handed to the broker, oldest first.

    At most `deliveries_max` of them are deliveries that nobody has answered yet: a
    webhook that lets us wait must not take all workers.
    """
    rows = connection.execute(
        _MARK_ENTRIES,
        {"limit": limit, "slow": DELIVER, "slow_max": deliveries_max},
    )
    return sorted(rows.scalars())


def unmark(
    connection: Connection,
    *,
    chunk_ids: Sequence[int],
    entry_ids: Sequence[int],
) -> None:
    """Let what the broker did not take wait again."""
    for table, ids in (("chunks", chunk_ids), ("outbox", entry_ids)):
        connection.execute(
            text(f"""
                UPDATE {table} SET state = 'pending', dispatched_at = NULL
                 WHERE id = ANY (CAST(:ids AS bigint[])) AND state = 'dispatched'"""),  # noqa: S608 - two constants
            {"ids": list(ids)},
        )


def traceparents(connection: Connection, chunk_ids: Sequence[int]) -> dict[int, str]:
    """Where the submissions of these chunks' jobs stand in traces, of those that do."""
    rows = connection.execute(
        text("""
            SELECT c.id, j.traceparent
              FROM chunks AS c JOIN jobs AS j ON j.id = c.job_id
             WHERE c.id = ANY (:ids) AND j.traceparent IS NOT NULL"""),
        {"ids": list(chunk_ids)},
    )
    return {row.id: row.traceparent for row in rows}
