"""CSV: UTF-8, comma, one header line; all columns are kept."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import accumulate, islice
from typing import BinaryIO

from worker.infrastructure.errors import Problem, bad
from worker.quotes.readers.reader import columns_of
from worker.quotes.readers.table import ROWS, Noticed, Piece, ReadOptions, Table

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


def table(stream: BinaryIO, options: ReadOptions) -> Table:  # noqa: ARG001 - nothing is left open
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
    if not header:
        raise bad(None, "the file is empty: a header line is missing", line=1)
    names = columns_of(header, line=1)
    return Table(names, 1, _pieces(rows, names), Noticed(format="csv"))


def _pieces(rows: Iterator[list[str]], names: tuple[str, ...]) -> Iterator[Piece]:
    line, error = 2, None
    block = _Block(names)
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
        block.add(piece, lines)
        if len(block) >= ROWS:
            yield block.taken()
    if error is not None:
        # Where the row ends is not known: nothing below can be trusted.
        block.add_bad(Problem(line, None, f"the row cannot be read: {error}"))
    if len(block):
        yield block.taken()


class _Block:
    """Rows gathered by columns; those without a cell for each column are bad."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names
        self._number = 1
        self._clear()

    def _clear(self) -> None:
        self._columns: list[list[str]] = [[] for _ in self._names]
        self._numbers: list[int] = []
        self._lines: list[int] = []
        self._bad: dict[int, list[Problem]] = {}

    def __len__(self) -> int:
        return len(self._numbers) + len(self._bad)

    def add(self, rows: list[list[str]], lines: Sequence[int]) -> None:
        if set(map(len, rows)) <= {len(self._names)}:
            self._add_whole(rows, lines)
            return
        for line, row in zip(lines, rows, strict=True):
            if len(row) == len(self._names):
                self._add_whole([row], [line])
            else:
                message = f"has {len(row)} fields, the header has {len(self._names)}"
                self.add_bad(Problem(line, None, message))

    def _add_whole(self, rows: list[list[str]], lines: Sequence[int]) -> None:
        for column, cells in zip(self._columns, zip(*rows, strict=True), strict=False):
            column.extend(cells)
        self._numbers += range(self._number, self._number + len(rows))
        self._number += len(rows)
        self._lines += lines

    def add_bad(self, problem: Problem) -> None:
        self._bad[self._number] = [problem]
        self._number += 1

    def taken(self) -> Piece:
        """What was gathered; it begins anew."""
        piece = Piece(self._names, self._columns, self._numbers, self._lines, self._bad)
        self._clear()
        return piece


def _lines(block: list[list[str]], first: int, last: int) -> tuple[Sequence[int], int]:
    """On which lines some rows begin, and on which the next one does."""
    if last == first + len(block) - 1:
        return range(first, first + len(block)), first + len(block)
    ends = [1 + sum(len(_END.findall(cell)) for cell in row) for row in block]
    begins = list(accumulate(ends, initial=first))
    return begins[:-1], begins[-1]
