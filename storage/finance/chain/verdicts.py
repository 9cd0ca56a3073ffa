"""What looking through the whole chain has found, the last time."""

from datetime import datetime
from typing import NamedTuple

import psycopg
from sqlalchemy import Connection, text

_LOOKING = 4_846_029
"""An advisory lock: of several processes one looks through the chain."""


class ChainVerdict(NamedTuple):
    """When the chain was looked through last, up to which run, and what was broken."""

    finished_at: datetime
    run: int
    breaks: int
    first_break: str | None


def put(
    connection: Connection,
    *,
    started_at: datetime,
    run: int,
    breaks: int,
    first_break: str | None,
) -> None:
    """Keep what was found."""
    connection.execute(
        text("""
            INSERT INTO chain_checks (started_at, run, breaks, first_break)
            VALUES (:started_at, :run, :breaks, :first_break)"""),
        {
            "started_at": started_at,
            "run": run,
            "breaks": breaks,
            "first_break": first_break,
        },
    )


def last(connection: Connection) -> ChainVerdict | None:
    """The last verdict; None where nobody has looked yet."""
    row = connection.execute(
        text("""
            SELECT finished_at, run, breaks, first_break FROM chain_checks
             ORDER BY finished_at DESC, id DESC LIMIT 1""")
    ).one_or_none()
    return None if row is None else ChainVerdict(*row)


def is_due(connection: Connection, *, after_s: float) -> bool:
    """Whether there is a chain that nobody has looked through for so long."""
    due: bool = connection.execute(
        text("""
            SELECT coalesce(
              (SELECT max(finished_at) FROM chain_checks),
              (SELECT min(sealed_at) FROM chain_runs))
              < clock_timestamp() - make_interval(secs => :after_s)"""),
        {"after_s": after_s},
    ).scalar_one()
    return bool(due)


def sealed_age_s(connection: Connection) -> float | None:
    """How long ago the last run was sealed; None where none was."""
    age_s: float | None = connection.execute(
        text("""
            SELECT CAST(extract(epoch FROM clock_timestamp() - sealed_at)
                        AS double precision)
              FROM chain_runs ORDER BY n DESC LIMIT 1""")
    ).scalar()
    return age_s


def is_the_one(apart: psycopg.Connection[tuple[bool]]) -> bool:
    """Whether this connection is the one to look through the chain, until it closes."""
    row = apart.execute("SELECT pg_try_advisory_lock(%s)", [_LOOKING]).fetchone()
    return row is not None and row[0]
