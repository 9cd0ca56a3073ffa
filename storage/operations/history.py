"""The history behind the charts: a row a minute, thinned as it ages.

What happened is summed, and sums stay sums; how things stood is the mean of the looks,
and how long the oldest waited is the longest wait that was seen. Minutes stay for three
hours, tens of minutes for three days, hours for as long as they are kept.
"""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, text

from storage.jobs import queue_metrics

MINUTE_S, TEN_MINUTES_S, HOUR_S = 60, 600, 3600
"""The widths of rows."""

_MINUTES_KEPT_S = 3 * 3600
_TENS_KEPT_S = 3 * 24 * 3600
_EPOCH = "timestamptz '2000-01-01 00:00:00+00'"

_SUMS = (
    *("delivered", "excluded", "rejected", "credits_settled"),
    *("chunk_failures", "leases_expired", "fenced_writes"),
)
_MEANS = (
    *("jobs_open", "chunks_waiting", "chunks_running"),
    *("entries_waiting", "workers"),
)
_WORST = ("oldest_chunk_s", "oldest_entry_s")
_COLUMNS = ", ".join((*_SUMS, *_MEANS, *_WORST))
_MERGED = ", ".join(
    (
        *(f"CAST(sum({name}) AS bigint) AS {name}" for name in _SUMS),
        *(f"sum({name} * looks) / sum(looks) AS {name}" for name in _MEANS),
        *(f"max({name}) AS {name}" for name in _WORST),
    )
)
"""How several rows become one."""


class Point(NamedTuple):
    """What happened within `width_s` from `at` on, and how things stood."""

    at: datetime
    width_s: int
    delivered: int
    excluded: int
    rejected: int
    credits_settled: int
    chunk_failures: int
    leases_expired: int
    fenced_writes: int
    jobs_open: float
    """This and what follows: the mean of the looks."""
    chunks_waiting: float
    chunks_running: float
    entries_waiting: float
    workers: float
    oldest_chunk_s: float
    """This and what follows: the longest wait that was seen."""
    oldest_entry_s: float


# What was counted since the last row: the dispatcher that wrote that may be gone.
_NOTE = text(f"""
WITH due AS (
  SELECT name, labels, value, value - in_history AS grown FROM counters
   WHERE value <> in_history ORDER BY name, labels FOR NO KEY UPDATE),
noted AS (
  UPDATE counters AS c SET in_history = due.value FROM due
   WHERE c.name = due.name AND c.labels = due.labels)
INSERT INTO history (at, width_s, looks, {_COLUMNS})
SELECT date_trunc('minute', clock_timestamp()) - interval '1 minute', 60, 1,
       coalesce(sum(grown) FILTER (WHERE name = 'records'
                                     AND labels ->> 1 = 'delivered'), 0),
       coalesce(sum(grown) FILTER (WHERE name = 'records'
                                     AND labels ->> 1 = 'excluded'), 0),
       coalesce(sum(grown) FILTER (WHERE name = 'records'
                                     AND labels ->> 1 = 'rejected'), 0),
       coalesce(sum(grown) FILTER (WHERE name = 'credits_settled'), 0),
       coalesce(sum(grown) FILTER (WHERE name = 'chunk_failures'), 0),
       coalesce(sum(grown) FILTER (WHERE name = 'leases_expired'), 0),
       coalesce(sum(grown) FILTER (WHERE name = 'fenced_writes'), 0),
       :jobs_open, :chunks_waiting, :chunks_running, :entries_waiting, :workers,
       :oldest_chunk_s, :oldest_entry_s
  FROM due
""")  # noqa: S608 - constants only

_KEEPER = 5_405_012_026
"""An advisory lock: of several dispatchers one writes a minute down."""

_IS_NOTED = text("""
SELECT EXISTS (
  SELECT 1 FROM history WHERE width_s = 60
     AND at = date_trunc('minute', clock_timestamp()) - interval '1 minute')
""")


def note(connection: Connection, *, processes_within_s: float) -> bool:
    """Write down the minute that has ended; False where somebody has, or does.

    Where nobody did for a while, its row has all that was counted since the last one.
    """
    lock = text("SELECT pg_try_advisory_xact_lock(:lock)")
    if not connection.execute(lock, {"lock": _KEEPER}).scalar_one():
        return False
    # Looked at once the lock is ours: whoever had it may just have written it.
    if connection.execute(_IS_NOTED).scalar_one():
        return False
    found = queue_metrics.look(connection, processes_within_s=processes_within_s)
    chunks = found.chunks
    connection.execute(
        _NOTE,
        {
            "jobs_open": sum(found.jobs.values()),
            "chunks_waiting": chunks.get("pending", 0) + chunks.get("dispatched", 0),
            "chunks_running": chunks.get("running", 0),
            "entries_waiting": sum(found.outbox.values()),
            "workers": found.processes.get("worker", 0),
            "oldest_chunk_s": found.oldest_chunk_s,
            "oldest_entry_s": found.oldest_entry_s,
        },
    )
    return True


def _bin(width: str) -> str:
    return f"date_bin(make_interval(secs => {width}), at, {_EPOCH})"


def _moved(name: str, width_s: int, into_s: int, kept_s: int) -> str:
    """Take rows of a width that are too old, as rows of another; whole ones alone."""
    return f"""
{name}_old AS (
  DELETE FROM history
   WHERE width_s = {width_s}
     AND at < date_bin('{into_s} s',
                       clock_timestamp() - interval '{kept_s} s', {_EPOCH})
  RETURNING *),
{name} AS (
  SELECT {_bin(str(into_s))} AS at, {into_s} AS width_s, sum(looks) AS looks, {_MERGED}
    FROM {name}_old GROUP BY 1)"""  # noqa: S608 - constants only


# A clock that went back may have made a row anew that is there already.
_THIN = text(f"""
WITH {_moved("minutes", MINUTE_S, TEN_MINUTES_S, _MINUTES_KEPT_S)},
{_moved("tens", TEN_MINUTES_S, HOUR_S, _TENS_KEPT_S)},
forgotten AS (
  DELETE FROM history
   WHERE width_s = {HOUR_S}
     AND at < clock_timestamp() - make_interval(secs => :kept_s))
INSERT INTO history AS h (at, width_s, looks, {_COLUMNS})
SELECT * FROM minutes UNION ALL SELECT * FROM tens
ON CONFLICT (at, width_s) DO UPDATE SET looks = h.looks + excluded.looks,
{", ".join(f"{name} = h.{name} + excluded.{name}" for name in _SUMS)},
{
    ", ".join(
        f"{name} = (h.{name} * h.looks + excluded.{name} * excluded.looks)"
        " / (h.looks + excluded.looks)"
        for name in _MEANS
    )
},
{", ".join(f"{name} = greatest(h.{name}, excluded.{name})" for name in _WORST)}
""")  # noqa: S608 - constants only


def thin(connection: Connection, *, kept_s: float) -> int:
    """Make wider rows of old ones, and forget what is older than `kept_s`.

    It is one statement; how many rows it has written is returned.
    """
    return connection.execute(_THIN, {"kept_s": kept_s}).rowcount


_SERIES = text(f"""
SELECT {_bin(":width_s")} AS at, greatest(max(width_s), :width_s) AS width_s, {_MERGED}
  FROM history
 WHERE at >= date_bin(make_interval(secs => :width_s),
                      clock_timestamp() - make_interval(secs => :since_s), {_EPOCH})
 GROUP BY 1 ORDER BY 1
""")  # noqa: S608 - constants only


def series(connection: Connection, *, since_s: float, width_s: int) -> list[Point]:
    """The points of the last `since_s`, each so wide, or wider where it was thinned.

    A time without a point is one in which no dispatcher ran.
    """
    rows = connection.execute(_SERIES, {"since_s": since_s, "width_s": width_s})
    return [Point(*row) for row in rows]
