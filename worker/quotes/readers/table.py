"""A file as a table of texts: what a reader answers before columns mean anything.

A reader knows its format alone. Which column is the company's id, and what is wrong
with a record, is known to `mapped_records`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from worker.infrastructure.errors import Problem

ROWS = 1_000
"""How many rows a reader hands on at a time: as many as a chunk has records."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """What is said of a file besides its format; None: the reader looks for itself.

    `skip_bad` goes on behind what cannot be read, where a format lets it.
    `compression` is a content coding, `decoded_bytes_max` what a file may become once
    it is undone, and `workbook_bytes_max` what memory reading a workbook may take.
    """

    encoding: str | None = None
    delimiter: str | None = None
    quote: str | None = None
    sheet: str | None = None
    skip_bad: bool = False
    compression: str | None = None
    decoded_bytes_max: int = 4 << 30
    workbook_bytes_max: int = 3 << 30


UNTOLD = ReadOptions()
"""Nothing is said."""


_NONE: Mapping[str, Mapping[int, str]] = {}


class Piece(NamedTuple):
    """Some rows by columns: what stands at one place of each column is one row.

    `numbers` count rows from 1 in the input, bad ones included; `lines` are what a
    problem of the row names. `bad` are rows that could not be read, by their number;
    they are in no column. `unfit_ids` are cells that must be no id, by their column and
    place, and why: what they are may not be what was meant.
    """

    names: tuple[str, ...]
    columns: Sequence[Sequence[str]]
    numbers: Sequence[int]
    lines: Sequence[int]
    bad: Mapping[int, list[Problem]]
    unfit_ids: Mapping[str, Mapping[int, str]] = _NONE


@dataclass(slots=True, kw_only=True)
class Noticed:
    """What a reader took a file for, and what it has passed over so far.

    It is complete once all rows were read. `unread` says in words what could not be
    read, and how much it was. `left_out` are columns that hold nothing of a record.
    `restored` says that it was exported for spreadsheets, and is read as it was before.
    `short_rows` lack empty cells at their end, `long_rows` have some behind the last
    column; `error_cells` are cells of a workbook that show an error and are empty here.

    The last four are what was noticed of the records, once all were taken in: the
    duplicates that say something else than the first, and the numbers of some; how many
    ids look as if a spreadsheet had spoiled them, and `record, field, value` of some.
    """

    format: str
    encoding: str | None = None
    delimiter: str | None = None
    quote: str | None = None
    compression: str | None = None
    sheet: str | None = None
    sheets: tuple[str, ...] = ()
    restored: bool = False
    empty_rows: int = 0
    empty_columns: int = 0
    short_rows: int = 0
    long_rows: int = 0
    error_cells: int = 0
    unread: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    duplicates_differing: int = 0
    differing: list[int] = field(default_factory=list)
    spoiled_total: int = 0
    spoiled: list[dict[str, int | str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Table:
    """A file being read: its columns' names as they stand in it, and its rows.

    `header_line` is where the names stand; None where each row brings its own, which
    `names` then lacks, and pieces differ in their names.
    """

    names: tuple[str, ...]
    header_line: int | None
    pieces: Iterator[Piece]
    noticed: Noticed
