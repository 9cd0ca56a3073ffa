"""Rows of a CSV one by one, with what cannot be read among them.

Behind a row that cannot be read it goes on at the next line: of a quote that is never
closed only its own line is lost. What lies there may be the rest of that row, so rows
count again only once one has as many cells as the header.
"""

import csv
import io
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from worker.infrastructure.errors import Problem
from worker.quotes.readers.csv_dialects.dialect import Dialect
from worker.quotes.readers.csv_dialects.text_encoding import LINE_CHARACTERS_MAX

_RECORD_CHARACTERS_MAX = 8 << 20
_READ_AGAIN_MAX = 64 << 20
"""More is not read a second time: quotes on every line would go on for ever."""


class CarefulRow(NamedTuple):
    """A row and the line it begins on, or what is wrong with it; and its size."""

    line: int
    cells: list[str]
    problem: Problem | None
    characters: int


class _TooLong(Exception):
    """The record is longer than may be."""


class _Lines:
    """The lines of a text, of which those of the current record are remembered."""

    def __init__(self, text: io.TextIOBase, line: int) -> None:
        self._text = text
        self._again: deque[str] = deque()
        self.record: list[str] = []
        self.characters = 0
        self.line = line
        """Where the next record begins."""

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        if self._again:
            text = self._again.popleft()
        else:
            text = self._text.readline(LINE_CHARACTERS_MAX)
        if not text:
            raise StopIteration
        self.record.append(text)
        self.characters += len(text)
        if self.characters > _RECORD_CHARACTERS_MAX:
            raise _TooLong
        return text

    def next_record(self) -> None:
        """The record was read; the next one begins."""
        self.line += len(self.record)
        self.record, self.characters = [], 0

    def go_back(self) -> int:
        """Read again what lies behind the record's first line; answer how much."""
        rest = self.record[1:]
        self._again.extendleft(reversed(rest))
        self.line += 1
        self.record, self.characters = [], 0
        return sum(map(len, rest))

    def left(self) -> int:
        """How many lines are left; then there are none."""
        count = len(self._again)
        self._again.clear()
        while text := self._text.readline(LINE_CHARACTERS_MAX):
            count += text.endswith(("\n", "\r"))
        return count


def careful_rows(
    text: io.TextIOBase, dialect: Dialect, line: int, width: int, unread: list[str]
) -> Iterator[CarefulRow]:
    """The rows from a line on, to which the text was read.

    `width` is how many cells the header has. What is not read is said in `unread`.
    """
    lines = _Lines(text, line)
    reader = _reader(lines, dialect)
    broken_at, read_again = 0, 0
    while True:
        try:
            row = next(reader, None)
        except (csv.Error, _TooLong) as error:
            broken_at = lines.line
            yield _broken(lines, error)
            read_again += lines.go_back()
            if read_again > _READ_AGAIN_MAX:
                first, left = lines.line, lines.left()
                unread.append(f"{left} lines from line {first} on were not read")
                return
            reader = _reader(lines, dialect)
            continue
        if row is None:
            return
        if broken_at and row and len(row) != width:
            message = f"may be a part of the row on line {broken_at}, which is broken"
            yield CarefulRow(lines.line, [], Problem(lines.line, None, message), 0)
        elif row:
            broken_at = 0
            yield CarefulRow(lines.line, row, None, lines.characters)
        else:
            yield CarefulRow(lines.line, row, None, 0)
        lines.next_record()


def _reader(lines: _Lines, dialect: Dialect) -> Iterator[list[str]]:
    return csv.reader(
        lines, delimiter=dialect.delimiter, quotechar=dialect.quote, strict=True
    )


def _broken(lines: _Lines, error: Exception) -> CarefulRow:
    if isinstance(error, _TooLong):
        message = f"is longer than {_RECORD_CHARACTERS_MAX >> 20} Mi characters"
    else:
        message = f"the row cannot be read: {error}"
        if "expected after" in message:
            message += "; a quote within quotes is written twice"
    if len(lines.record) > 1:
        count = len(lines.record)
        message += f" (it took {count} lines; those behind its first are read anew)"
    return CarefulRow(lines.line, [], Problem(lines.line, None, message), 0)
