"""CSV: UTF-8, comma, one header line; `company_id` is required, all columns kept."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import accumulate, islice
from typing import BinaryIO

from worker.infrastructure.errors import Problem, bad
from worker.quotes.readers.reader import Reading, columns_of
from worker.quotes.readers.record_columns import ROWS, Row, Rows, gathered, rows_of
from worker.quotes.readers.records import record_of

_CELL_CHARACTERS_MAX = 1 << 20
_PIECE_ROWS = 250
"""Rows become columns so many at a time: while they are in the processor's caches."""

_END = re.compile(r"\r\n|\r|\n")
"""What ends a line, also within a cell."""


class _Text(io.TextIOWrapper):
    """A stream's text; the stream stays its owner's to close."""

    def close(self) -> None:
        with suppress(ValueError):  # let go before
            self.detach()


def read(stream: BinaryIO) -> Reading:
    """Read the header at once and the rows as they are asked for.

    Raises `BadInput` where the header cannot be used. What is not UTF-8 is found in
    its own row, so that a problem names line and field.
    """
    lines = _Text(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")
    csv.field_size_limit(_CELL_CHARACTERS_MAX)
    rows = csv.reader(lines, strict=True)
    try:
        header = next(rows, None)
    except csv.Error as error:
        raise bad(None, f"the header cannot be read: {error}", line=1) from error
    columns = _columns(header)
    return Reading(columns, _blocks(rows, columns))


def _columns(header: list[str] | None) -> tuple[str, ...]:
    if not header:
        raise bad(None, "the file is empty: a header line is missing", line=1)
    return columns_of(header, line=1)


def _blocks(rows: Iterator[list[str]], columns: tuple[str, ...]) -> Iterator[Rows]:
    number, line, error = 1, 2, None
    block = _Block(columns)
    while error is None:
        piece: list[list[str]] = []
        try:
            # What was read before an error stays in it.
            piece.extend(islice(rows, _PIECE_ROWS))
        except csv.Error as found:
            error = found
        if not piece and error is None:
            break
        lines, line = _lines(piece, line, rows.line_num)  # type: ignore[attr-defined]
        if not all(piece):
            lines = [at for at, row in zip(lines, piece, strict=True) if row]
            piece = list(filter(None, piece))
        numbers = range(number, number + len(piece))
        number += len(piece)
        if set(map(len, piece)) <= {len(columns)}:
            block.add(piece, numbers, lines)
        else:
            yield from block.taken()
            yield _one_by_one(piece, columns, numbers, lines)
        if len(block) >= ROWS:
            yield from block.taken()
    yield from block.taken()
    if error is not None:
        # Where the row ends is not known: nothing below can be trusted.
        message = f"the row cannot be read: {error}"
        yield gathered([(number, [Problem(line, None, message)])])


class _Block:
    """Rows that all have a cell for each column, gathered by columns."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names
        self._clear()

    def _clear(self) -> None:
        self._columns: list[list[str]] = [[] for _ in self._names]
        self._numbers: list[int] = []
        self._lines: list[int] = []

    def __len__(self) -> int:
        return len(self._numbers)

    def add(
        self, rows: list[list[str]], numbers: Sequence[int], lines: Sequence[int]
    ) -> None:
        for column, cells in zip(self._columns, zip(*rows, strict=True), strict=False):
            column.extend(cells)
        self._numbers += numbers
        self._lines += lines

    def taken(self) -> Iterator[Rows]:
        """What was gathered, where there is any; it begins anew."""
        if self._numbers:
            yield rows_of(self._names, self._columns, self._numbers, self._lines)
            self._clear()


def _lines(block: list[list[str]], first: int, last: int) -> tuple[Sequence[int], int]:
    """On which lines some rows begin, and on which the next one does."""
    if last == first + len(block) - 1:
        return range(first, first + len(block)), first + len(block)
    ends = [1 + sum(len(_END.findall(cell)) for cell in row) for row in block]
    begins = list(accumulate(ends, initial=first))
    return begins[:-1], begins[-1]


def _one_by_one(
    rows: list[list[str]],
    columns: tuple[str, ...],
    numbers: Sequence[int],
    lines: Sequence[int],
) -> Rows:
    return gathered(
        (number, _record(number, line, row, columns))
        for number, line, row in zip(numbers, lines, rows, strict=True)
    )


def _record(
    number: int,
    line: int,
    row: list[str],
    columns: tuple[str, ...],
) -> Row:
    if len(row) != len(columns):
        message = f"has {len(row)} fields, the header has {len(columns)}"
        return [Problem(line, None, message)]
    fields = dict(zip(columns, row, strict=True))
    return record_of(number, line, fields)
