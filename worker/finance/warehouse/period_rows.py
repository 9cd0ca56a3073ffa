"""The rows of some periods as of one moment, read in short transactions."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from sqlalchemy import Connection, text

from storage.database import Database
from storage.finance.warehouse import cuts, ledger_rows
from storage.finance.warehouse.cuts import Cut
from storage.finance.warehouse.ledger_rows import Balances, Dataset, PeriodOf, Scope

ROWS = 5_000
"""Of a batch: what is in memory at once."""

Rows = list[Mapping[str, Any]]


class Picture(NamedTuple):
    """Some periods at one moment, with what their counters said then."""

    cut: Cut
    periods: list[PeriodOf]
    balances: dict[int, Balances]


def picture_of(database: Database, scope: Scope) -> Picture:
    """The periods of a scope, now."""
    with _one_snapshot(database) as connection:
        cut = cuts.cut(connection)
        periods = ledger_rows.periods_of(connection, scope)
        return Picture(cut, periods, dict(ledger_rows.balances_of(connection, periods)))


@contextmanager
def _one_snapshot(database: Database) -> Iterator[Connection]:
    with database.transaction() as connection:
        connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        yield connection


def batches(
    database: Database, dataset: Dataset, picture: Picture, period: PeriodOf
) -> Iterator[Rows]:
    """The rows of one of its periods, in order; the period stands in each."""
    after = 0
    while True:
        with database.transaction() as connection:
            found = ledger_rows.batch(
                connection, dataset, picture.cut, period, after=after, limit=ROWS
            )
        if not found:
            return
        yield [{**row, "period": period.starts_at} for row in found]
        after = found[-1]["place"]


def all_batches(
    database: Database, dataset: Dataset, picture: Picture
) -> Iterator[Rows]:
    """The rows of all of its periods."""
    for period in picture.periods:
        yield from batches(database, dataset, picture, period)
