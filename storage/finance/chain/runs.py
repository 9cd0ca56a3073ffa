"""The runs of the chain, and the links of licenses in them: written once, read often.

A run seals what was written by the transactions from its first to below its end. Where
nothing below the end can be written any more, each row has exactly one run.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import NamedTuple

import psycopg
from sqlalchemy import Connection, bindparam, insert, select, text
from sqlalchemy.exc import OperationalError

from storage.errors import StorageError
from storage.tables import chain_links, chain_runs
from storage.tables.column_types import ERA

NOTHING = bytes(32)
"""The head before the first."""


class SealerBusy(StorageError):
    """Another seals at this moment."""


class DatabaseRestored(StorageError):
    """The server is another one, or counts its transactions anew."""


class Counts(NamedTuple):
    """How many rows of each table are sealed."""

    charges: int
    refunds: int
    transfers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of the house; `links` is how many licenses have a link in it."""

    n: int
    format: int
    from_transaction: int
    to_transaction: int
    era: int
    system_identifier: int
    charges: int
    refunds: int
    transfers: int
    links: int
    key_id: str
    previous_head: bytes
    head: bytes
    sealed_at: datetime

    @property
    def counts(self) -> Counts:
        """Of all licenses."""
        return Counts(self.charges, self.refunds, self.transfers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One link of a license; `position` counts its links from 1."""

    license_id: str
    run: int
    position: int
    charges: int
    refunds: int
    transfers: int
    locators: bytes
    previous_head: bytes
    head: bytes

    @property
    def counts(self) -> Counts:
        """Of this license."""
        return Counts(self.charges, self.refunds, self.transfers)


def total_of(links: Iterable[Link]) -> Counts:
    """The rows of all of some links."""
    total = [0, 0, 0]
    for link in links:
        total = [sum(both) for both in zip(total, link.counts, strict=True)]
    return Counts(*total)


class Head(NamedTuple):
    """Where a license's chain stood: the link's position, its run, and its head."""

    position: int
    run: int
    head: bytes


class Moment(NamedTuple):
    """What the server says of itself in a snapshot.

    No transaction below `oldest` can write any more; none has had a number from `next`
    on. Both are without an era.
    """

    system_identifier: int
    oldest: int
    next: int
    at: datetime


def take_turn(connection: Connection, *, wait: bool) -> None:
    """Be the one who seals, until this new transaction ends, and look at one snapshot.

    Raises `SealerBusy` where another seals, after a while with `wait`. The lock comes
    before the snapshot: whoever waited sees what the other has sealed.
    """
    connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
    mode = "" if wait else "NOWAIT"
    try:
        connection.execute(
            text(f"LOCK TABLE chain_runs IN SHARE UPDATE EXCLUSIVE MODE {mode}")
        )
    except OperationalError as error:
        if isinstance(error.orig, psycopg.errors.LockNotAvailable):
            raise SealerBusy("the chain is being sealed by another") from error
        raise


def moment(connection: Connection) -> Moment:
    """What the snapshot of this transaction says of its server."""
    row = connection.execute(
        text("""
            SELECT holdfast_system_identifier(),
                   CAST(CAST(pg_snapshot_xmin(now) AS text) AS bigint),
                   CAST(CAST(pg_snapshot_xmax(now) AS text) AS bigint),
                   clock_timestamp()
              FROM pg_current_snapshot() AS now""")
    ).one()
    return Moment(*row)


def last(connection: Connection) -> Run | None:
    """The last run; None where nothing was ever sealed."""
    found = select(chain_runs).order_by(chain_runs.c.n.desc()).limit(1)
    row = connection.execute(found).mappings().one_or_none()
    return None if row is None else Run(**row)


def check_same_server(before: Run | None, now: Moment) -> None:
    """Raise `DatabaseRestored` where what counts now may have counted before."""
    if before is None:
        return
    if before.system_identifier != now.system_identifier:
        raise DatabaseRestored("the server is another one than that of the last run")
    if before.era * ERA + now.oldest < before.to_transaction:
        raise DatabaseRestored("the server counts transactions below the last run's")


def sealed_bound(connection: Connection) -> int:
    """Below which transaction all is sealed; 0 where nothing was.

    Whoever wrote is sealed once this is above its `transaction_id`.
    """
    run = last(connection)
    return 0 if run is None else run.to_transaction


def head_at(connection: Connection, license_id: str, bound: int) -> Head | None:
    """Where a license's chain stood at a sealed bound; None before its first link.

    Raises `LookupError` where no run ends at that bound.
    """
    if not bound:
        return None
    row = connection.execute(
        text("""
            SELECT l.position, l.run, l.head
              FROM (SELECT max(n) AS n FROM chain_runs
                     WHERE to_transaction = :bound) AS upto
              LEFT JOIN LATERAL (
                   SELECT * FROM chain_links
                    WHERE license_id = :license_id AND run <= upto.n
                    ORDER BY position DESC LIMIT 1) AS l ON true
             WHERE upto.n IS NOT NULL"""),
        {"license_id": license_id, "bound": bound},
    ).one_or_none()
    if row is None:
        raise LookupError(f"no run of the chain ends at {bound}")
    return None if row.head is None else Head(*row)


def heads_of(
    connection: Connection, license_ids: Collection[str]
) -> dict[str, tuple[int, bytes]]:
    """The last position and head of each of some licenses that have one."""
    rows = connection.execute(
        text("""
            SELECT asked.id, l.position, l.head
              FROM unnest(CAST(:ids AS text[])) AS asked (id)
             CROSS JOIN LATERAL (
                   SELECT position, head FROM chain_links
                    WHERE license_id = asked.id COLLATE "C"
                    ORDER BY position DESC LIMIT 1) AS l"""),
        {"ids": list(license_ids)},
    )
    return {license_id: (position, head) for license_id, position, head in rows}


def put(connection: Connection, run: Run, links: Sequence[Link]) -> None:
    """Keep a run with its links."""
    connection.execute(insert(chain_runs), asdict(run))
    if links:
        connection.execute(insert(chain_links), [asdict(link) for link in links])


def from_run(connection: Connection, n: int, *, limit: int) -> list[Run]:
    """The runs from the `n`-th on, in order."""
    found = (
        select(chain_runs)
        .where(chain_runs.c.n >= bindparam("n"))
        .order_by(chain_runs.c.n)
        .limit(limit)
    )
    rows = connection.execute(found, {"n": n}).mappings()
    return [Run(**row) for row in rows]


def links_of(connection: Connection, first: int, end: int) -> Iterator[Link]:
    """The links of the runs from `first` to below `end`, by run and license."""
    found = (
        select(chain_links)
        .where(chain_links.c.run >= first, chain_links.c.run < end)
        .order_by(chain_links.c.run, chain_links.c.license_id)
    )
    for row in connection.execute(found).mappings():
        yield Link(**row)


def heads_at(
    connection: Connection, numbers: Collection[int]
) -> dict[int, tuple[int, bytes]]:
    """The era and the head of each of some runs that there are."""
    found = select(chain_runs.c.n, chain_runs.c.era, chain_runs.c.head).where(
        chain_runs.c.n.in_(numbers)
    )
    return {n: (era, head) for n, era, head in connection.execute(found)}
