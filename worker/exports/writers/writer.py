"""What a format is: how its file is opened, and which values it can hold."""

import io
import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol


class Target(Protocol):
    """Where a file's bytes go, from its first to its last."""

    def write(self, data: bytes, /) -> object:
        """Append bytes."""


class Writer(Protocol):
    """A file being written, in constant memory."""

    def add(self, rows: Iterable[Sequence[str]]) -> None:
        """Append rows, each a text for each column; in how many calls is no matter."""


Opening = Callable[[Target, Sequence[str]], AbstractContextManager[Writer]]
"""Opens a file with these headings; it is whole once the block has ended.

Where the block raises, what has reached the target is no file. Same headings and
rows, same bytes.
"""


Encoding = Callable[[Sequence[str], Iterable[Sequence[str]]], bytes]
"""Rows under these headings, as they stand one behind the other in a file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One format, perhaps in one of its profiles."""

    name: str
    extension: str
    media_type: str
    open: Opening
    encoded: Encoding | None = None
    """None where a file is more than its beginning and then its rows."""
    columns_max: int | None = None
    cell_units_max: int | None = None
    """The longest cell, in UTF-16 code units, which is how Excel counts."""
    unkept: re.Pattern[str] | None = None
    """Cells that would not be read back as they were written."""

    def holds_all(self, column: Sequence[str]) -> bool:
        """Whether a column's cells can be in such a file, as far as one look tells."""
        if not column or self._why_unkept("".join(column)) is not None:
            return not column
        return self._why_too_long(max(column, key=len)) is None

    def refusal(self, cells: Sequence[str]) -> tuple[int, str] | None:
        """The place of the first cell that no such file can hold, and why not."""
        if self._why_not("".join(cells)) is None:
            return None  # as nearly all are
        for place, cell in enumerate(cells):
            why = self._why_not(cell)
            if why is not None:
                return place, why
        return None

    def _why_not(self, text: str) -> str | None:
        return self._why_unkept(text) or self._why_too_long(text)

    def _why_unkept(self, text: str) -> str | None:
        if "\0" in text:
            return "contains a NUL character"
        try:
            text.encode()
        except UnicodeEncodeError:
            return "is not valid Unicode"
        if self.unkept is not None and self.unkept.search(text):
            return f"contains what {self.name} keeps for itself"
        return None

    def _why_too_long(self, cell: str) -> str | None:
        longest = self.cell_units_max
        if longest is None or 2 * len(cell) <= longest:
            return None
        units = len(cell.encode("utf-16-le")) // 2
        if units <= longest:
            return None
        return f"is {units:,} characters long; a cell of {self.name} holds {longest:,}"


class Stream(io.RawIOBase):
    """A target as a file object that only grows, for libraries that want one.

    They clean up badly where a write fails half-way. So it is kept for `check`, and
    what they still write is lost.
    """

    def __init__(self, target: Target) -> None:
        super().__init__()
        self._target: Target | None = target
        self._failure: Exception | None = None

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: bytes, /) -> int:  # type: ignore[override]  # bytes will do
        """Append bytes."""
        if self._target is not None:
            try:
                self._target.write(bytes(data))
            except Exception as error:  # noqa: BLE001 - raised by `check`
                self._failure = error
                self.abandon()
        return len(data)

    def check(self) -> None:
        """Raise what a write before this one raised."""
        if self._failure is not None:
            raise self._failure

    def abandon(self) -> None:
        """Let go of the target: there is no file any more."""
        self._target = None
