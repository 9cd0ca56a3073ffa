"""Bulk exports: a dataset of some periods as a file, or their transfers as a journal.

Pieces are made while they are sent, and no transaction is open meanwhile.
"""

from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple

from storage.finance.warehouse.ledger_rows import Dataset, Scope
from worker.finance.period_names import starts_of
from worker.finance.warehouse import beancount, hledger, journal, table_files
from worker.finance.warehouse.period_rows import all_batches, picture_of
from worker.finance.warehouse.schema import SCHEMA
from worker.infrastructure.dependencies import Deps


class FileFormat(StrEnum):
    """How a dataset can be had as a file."""

    CSV = "csv"
    PARQUET = "parquet"


class JournalFormat(StrEnum):
    """Whose language a journal is in."""

    BEANCOUNT = "beancount"
    HLEDGER = "hledger"


class Sent(NamedTuple):
    """A file in pieces."""

    name: str
    media_type: str
    pieces: Iterator[bytes]


_FILES = {
    FileFormat.CSV: ("text/csv", table_files.csv_pieces),
    FileFormat.PARQUET: (
        "application/vnd.apache.parquet",
        table_files.parquet_pieces,
    ),
}
_JOURNALS = {
    JournalFormat.BEANCOUNT: ("beancount", beancount.lines),
    JournalFormat.HLEDGER: ("journal", hledger.lines),
}


def scope_of(period: str, license_id: str | None) -> Scope:
    """The periods that a name means, of one license or of all. Raises `BadInput`."""
    starts = starts_of(period)
    return Scope(starts.since, starts.before, license_id)


def dataset(deps: Deps, which: Dataset, format_: FileFormat, scope: Scope) -> Sent:
    """A dataset's rows as of now."""
    picture = picture_of(deps.database, scope)
    media_type, pieces = _FILES[format_]
    rows = all_batches(deps.database, which, picture)
    name = f"{which}-{_about(scope)}.{format_}"
    return Sent(name, media_type, pieces(SCHEMA[which], rows))


def transfers_journal(deps: Deps, format_: JournalFormat, scope: Scope) -> Sent:
    """The transfers as of now, and the balances that must come of them."""
    picture = picture_of(deps.database, scope)
    extension, lines = _JOURNALS[format_]
    written = lines(journal.entries(deps.database, picture))
    name = f"transfers-{_about(scope)}.{extension}"
    return Sent(name, "text/plain", (line.encode() for line in written))


def _about(scope: Scope) -> str:
    return f"{scope.since:%Y-%m-%d}"
