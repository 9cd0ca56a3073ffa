"""Which workers and dispatchers are alive, by what they last reported."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What a process says of itself, as far as it knows.

    `rss_bytes` is what it and its children hold in memory; one that `drains` takes
    nothing more, and ends what it has.
    """

    host: str | None = None
    pid: int | None = None
    version: str | None = None
    rss_bytes: int | None = None
    drains: bool = False


_NOTHING = About()


def report(
    connection: Connection,
    process_id: str,
    role: str,
    queues: Sequence[str] = (),
    about: About = _NOTHING,
) -> bool:
    """Say that a process is alive, and which queues of the broker it reads.

    `process_id` is unique to its boot. Whether somebody wants it to take nothing more.
    """
    asked: bool = connection.execute(
        text("""
            INSERT INTO processes (id, role, queues, host, pid, version, rss_bytes,
                                   draining_since)
            VALUES (:id, :role, :queues, :host, :pid, :version, :rss_bytes,
                    CASE WHEN :drains THEN clock_timestamp() END)
            ON CONFLICT (id) DO UPDATE
               SET seen_at = clock_timestamp(), rss_bytes = excluded.rss_bytes,
                   draining_since = CASE WHEN :drains
                     THEN coalesce(processes.draining_since, clock_timestamp()) END
            RETURNING drain_asked_at IS NOT NULL"""),
        asdict(about) | {"id": process_id, "role": role, "queues": list(queues)},
    ).scalar_one()
    return asked


def is_read(connection: Connection, queue: str, *, within_s: float) -> bool:
    """Whether all workers that reported within this time read a queue, and any did."""
    read: bool = connection.execute(
        text("""
            SELECT coalesce(bool_and(:queue = ANY (coalesce(queues, '{}'))), false)
              FROM processes
             WHERE role = 'worker'
               AND seen_at > clock_timestamp() - make_interval(secs => :within_s)"""),
        {"queue": queue, "within_s": within_s},
    ).scalar_one()
    return read


def any_reads(connection: Connection, queue: str, *, within_s: float) -> bool:
    """Whether any worker that reported within this time reads a queue."""
    read: bool = connection.execute(
        text("""
            SELECT EXISTS (
              SELECT FROM processes
               WHERE role = 'worker' AND :queue = ANY (queues)
                 AND seen_at
                     > clock_timestamp() - make_interval(secs => :within_s))"""),
        {"queue": queue, "within_s": within_s},
    ).scalar_one()
    return read


def leave(connection: Connection, process_id: str) -> None:
    """Say that a process ended."""
    connection.execute(
        text("DELETE FROM processes WHERE id = :id"),
        {"id": process_id},
    )


def alive(connection: Connection, *, within_s: float) -> set[str]:
    """The roles of which at least one process reported within this time."""
    rows = connection.execute(
        text("""
            SELECT DISTINCT role FROM processes
             WHERE seen_at > clock_timestamp() - make_interval(secs => :within_s)"""),
        {"within_s": within_s},
    )
    return set(rows.scalars())


def all_drain(connection: Connection, *, within_s: float) -> bool:
    """Whether each worker that reported within this time takes nothing more, or is to.

    Not where none has reported.
    """
    drains: bool = connection.execute(
        text("""
            SELECT coalesce(bool_and(draining_since IS NOT NULL
                                     OR drain_asked_at IS NOT NULL), false)
              FROM processes
             WHERE role = 'worker'
               AND seen_at > clock_timestamp() - make_interval(secs => :within_s)"""),
        {"within_s": within_s},
    ).scalar_one()
    return drains


def forget_silent(connection: Connection, *, after_s: float) -> int:
    """Remove processes that were not heard of for so long."""
    gone = connection.execute(
        text("""
            DELETE FROM processes
             WHERE seen_at < clock_timestamp() - make_interval(secs => :after_s)"""),
        {"after_s": after_s},
    )
    return gone.rowcount
