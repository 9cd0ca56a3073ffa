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
from worker.quotes.readers.bounds import RECORD_BYTES_MAX
from worker.quotes.readers.csv_dialects.dialect import Dialect
from worker.quotes.readers.csv_dialects.row_block import CUT_OFF

_RECORD_CHARACTERS_MAX = RECORD_BYTES_MAX
_RECORD_LINES_MAX = 100_000
_LINE_AT_ONCE = 1 << 20
_ENDS = "\n", "\r"
_READ_AGAIN_MAX = 64 << 20
"""More is not read a second time: quotes on every line would go on for ever."""


class CarefulRow(NamedTuple):
    """A row, the line it begins on, what keeps it from being one, and its size."""

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
            text = self._text.readline(_RECORD_CHARACTERS_MAX + 1)
            self._skip_rest_of(text)
        if not text:
            raise StopIteration
        self.record.append(text)
        self.characters += len(text)
        if (
            self.characters > _RECORD_CHARACTERS_MAX
            or len(self.record) > _RECORD_LINES_MAX
        ):
            raise _TooLong
        return text

    def _skip_rest_of(self, line: str) -> None:
        """Pass over what is behind a line that is too long to be held."""
        if len(line) <= _RECORD_CHARACTERS_MAX:
            return
        while line and not line.endswith(_ENDS):
            line = self._text.readline(_LINE_AT_ONCE)

    @property
    def is_cut(self) -> bool:
        """Whether the record's last line has no end."""
        return bool(self.record) and not self.record[-1].endswith(_ENDS)

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
        while text := self._text.readline(_LINE_AT_ONCE):
            count += text.endswith(_ENDS)
        return count


def careful_rows(
    text: io.TextIOBase, dialect: Dialect, line: int, width: int, unread: list[str]
) -> Iterator[CarefulRow]:
    """The rows from a line on, to which the text was read.

    `width` is how many cells the header has. What is not read is said in `unread`.
    """
    lines = _Lines(text, line)
    reader = _reader(lines, dialect)
    parts, read_again = _Parts(), 0
    while True:
        try:
            row = next(reader, None)
        except (csv.Error, _TooLong) as error:
            yield from parts.told()
            parts.broken_at = lines.line
            yield _bad(lines.line, _reason(lines, error))
            read_again += lines.go_back()
            if read_again > _READ_AGAIN_MAX:
                first, left = lines.line, lines.left()
                unread.append(f"{left} lines from line {first} on were not read")
                return
            reader = _reader(lines, dialect)
            continue
        size, line, is_cut = lines.characters, lines.line, lines.is_cut
        # Its lines are held no longer than they have to be.
        lines.next_record()
        if row and parts.broken_at and len(row) != width:
            parts.add(line)
            continue
        if row is None or row:
            yield from parts.told()
        if row is None:
            return
        if row and len(row) < width and is_cut:
            yield _bad(line, CUT_OFF)
        else:
            yield CarefulRow(line, row, None, size)


class _Parts:
    """Rows behind a broken one that may be parts of it, until one is whole again."""

    def __init__(self) -> None:
        self.broken_at = 0
        self._first = self._count = 0

    def add(self, line: int) -> None:
        self._first = self._first or line
        self._count += 1

    def told(self) -> Iterator[CarefulRow]:
        """What was passed over, as one problem; it begins anew."""
        if self._count:
            rows = "1 row" if self._count == 1 else f"{self._count} rows"
            message = f"{rows} from here on may be parts of that on line "
            yield _bad(self._first, f"{message}{self.broken_at}, which is broken")
        self.broken_at = self._first = self._count = 0


def _reader(lines: _Lines, dialect: Dialect) -> Iterator[list[str]]:
    return csv.reader(
        lines, delimiter=dialect.delimiter, quotechar=dialect.quote, strict=True
    )


def _bad(line: int, message: str) -> CarefulRow:
    return CarefulRow(line, [], Problem(line, None, message), 0)


def _reason(lines: _Lines, error: Exception) -> str:
    if isinstance(error, _TooLong):
        size = f"{_RECORD_CHARACTERS_MAX >> 20} Mi characters"
        message = f"is longer than {size} or {_RECORD_LINES_MAX:,} lines"
    else:
        message = f"the row cannot be read: {error}"
        if "expected after" in message:
            message += "; a quote within quotes is written twice"
    if len(lines.record) > 1:
        count = len(lines.record)
        message += f" (it took {count} lines; those behind its first are read anew)"
    return message
