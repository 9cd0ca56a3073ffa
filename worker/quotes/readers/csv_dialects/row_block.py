"""Rows of a CSV gathered by columns, each with a cell for each column.

Rows in which nothing stands are no records and have no number. Cells that a row lacks
at its end are empty, as Excel leaves them off; empty ones behind the last column, and
columns in which nothing stands, not even a name, are passed over. All are counted.
"""

from collections.abc import Sequence
from typing import NamedTuple

from worker.infrastructure.errors import Problem, bad
from worker.quotes.readers.reader import columns_of, name_problem
from worker.quotes.readers.table import Noticed, Piece

CUT_OFF = "is the last row, lacks fields and has no end: is the file cut off?"
"""What is wrong with half a row; half an id would be another id."""


class Header(NamedTuple):
    """The columns of a header that have a name, their places, and how many there are.

    `unnamed` are the places of the others.
    """

    names: tuple[str, ...]
    named: tuple[int, ...]
    unnamed: tuple[int, ...]
    width: int


def header_of(cells: Sequence[str], line: int) -> Header:
    """What a header names. Raises `BadInput` where it cannot be used."""
    named = tuple(at for at, name in enumerate(cells) if name.strip())
    for at in named:
        message = name_problem(cells[at])
        if message is not None:
            raise bad(None, f"column {at + 1} {message}", line=line)
    names = columns_of([cells[at] for at in named], line=line)
    unnamed = tuple(at for at, name in enumerate(cells) if not name.strip())
    return Header(names, named, unnamed, len(cells))


class RowBlock:
    """Gathers rows until they are taken as a piece."""

    def __init__(self, header: Header, noticed: Noticed) -> None:
        self._header = header
        self._noticed = noticed
        self._number = 1
        self._clear()

    def _clear(self) -> None:
        self._columns: list[list[str]] = [[] for _ in self._header.named]
        self._numbers: list[int] = []
        self._lines: list[int] = []
        self._bad: dict[int, list[Problem]] = {}
        self._padded_last = False

    def __len__(self) -> int:
        """How many rows they are, bad ones included."""
        return len(self._numbers) + len(self._bad)

    def add(self, rows: list[list[str]], lines: Sequence[int]) -> None:
        """Take some rows, with the lines that they begin on."""
        if set(map(len, rows)) <= {self._header.width}:
            cells = list(zip(*rows, strict=True))
            # Where each row has a first cell, none is empty.
            if not rows or all(cells[0]) or all(map(any, rows)):
                self._add_columns(cells, rows, lines)
                return
        for line, row in zip(lines, rows, strict=True):
            self._add_one(row, line)

    def _add_one(self, row: list[str], line: int) -> None:
        missing = self._header.width - len(row)
        if not any(row):
            self._noticed.empty_rows += 1
            return
        if missing < 0 and any(row[self._header.width :]):
            message = f"has {len(row)} fields, the header has {self._header.width}"
            self.add_bad(Problem(line, None, message))
            return
        self._noticed.short_rows += missing > 0
        self._noticed.long_rows += missing < 0
        records = len(self._numbers)
        self._add_row(row[: self._header.width] + [""] * missing, line)
        self._padded_last = missing > 0 and len(self._numbers) > records

    def _add_columns(
        self,
        cells: list[tuple[str, ...]],
        rows: list[list[str]],
        lines: Sequence[int],
    ) -> None:
        if self._header.unnamed and cells:
            if any(map(any, (cells[at] for at in self._header.unnamed))):
                self._add_unnamed(rows, lines)
                return
            cells = [cells[at] for at in self._header.named]
        for column, found in zip(self._columns, cells, strict=False):
            column.extend(found)
        self._numbers += range(self._number, self._number + len(rows))
        self._number += len(rows)
        self._lines += lines
        self._padded_last = False

    def _add_row(self, row: list[str], line: int) -> None:
        self._add_columns([(cell,) for cell in row], [row], [line])

    def _add_unnamed(self, rows: list[list[str]], lines: Sequence[int]) -> None:
        """Rows of which some have a value that has no name."""
        for line, row in zip(lines, rows, strict=True):
            at = next((at for at in self._header.unnamed if row[at]), None)
            if at is None:
                self._add_row(row, line)
            else:
                message = f"column {at + 1} has a value, and no name in the header"
                self.add_bad(Problem(line, None, message))

    def add_bad(self, problem: Problem) -> None:
        """Take a row that cannot be read."""
        self._bad[self._number] = [problem]
        self._number += 1
        self._padded_last = False

    def end_unended(self) -> None:
        """The last row's line has no end: where it lacked cells, it may be cut off."""
        if not self._padded_last:
            return
        self._noticed.short_rows -= 1
        for column in self._columns:
            column.pop()
        number, line = self._numbers.pop(), self._lines.pop()
        self._bad[number] = [Problem(line, None, CUT_OFF)]

    def taken(self) -> Piece:
        """What was gathered; it begins anew."""
        names = self._header.names
        piece = Piece(names, self._columns, self._numbers, self._lines, self._bad)
        self._clear()
        return piece
