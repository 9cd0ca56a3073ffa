"""CSV: UTF-8 and CRLF as RFC 4180 has it, in a profile for whoever reads it.

For machines every value stays as it is. Where a spreadsheet opens it, values are kept
from becoming formulas, and in columns of phones and ids from becoming numbers and
dates too. The profiles for Excel begin as `worker.spreadsheets.csv_beginning` says.
"""

from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass

from worker.exports.writers.csv_lines import csv_lines
from worker.exports.writers.writer import Target
from worker.spreadsheets.cell_texts import as_literal, as_text
from worker.spreadsheets.csv_beginning import beginning


@dataclass(frozen=True, slots=True)
class Profile:
    """For whom a CSV is written."""

    delimiter: str
    marked: bool
    """Whether it begins so that Excel takes it for UTF-8, and we know it again."""
    only_texts: bool
    """Whether no value may be read as a formula."""
    literals: AbstractSet[str] = frozenset()
    """The headings of columns in which no value may be retyped either."""

    @contextmanager
    def open(self, target: Target, headings: Sequence[str]) -> Iterator["_Delimited"]:
        """Open a CSV; its header line is there at once."""
        if self.marked:
            target.write(beginning(headings, self.delimiter))
        else:
            shown = map(as_text, headings) if self.only_texts else headings
            target.write(csv_lines([list(shown)], self.delimiter))
        yield _Delimited(target, headings, self)

    def encoded(self, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
        """A line for each row."""
        shown = self._shown(headings, rows) if self.only_texts else rows
        # Where there is one column, no line tells the delimiter: it must not matter.
        lone = self.marked and len(headings) == 1
        return csv_lines(shown, self.delimiter, all_quoted=lone)

    def _shown(
        self, headings: Sequence[str], rows: Iterable[Sequence[str]]
    ) -> Iterator[list[str]]:
        """Rows whose cells all stay the texts that they are."""
        ways = [
            as_literal if heading in self.literals else as_text for heading in headings
        ]
        for row in rows:
            yield [way(cell) for way, cell in zip(ways, row, strict=True)]


class _Delimited:
    def __init__(
        self, target: Target, headings: Sequence[str], profile: Profile
    ) -> None:
        self._target = target
        self._headings = headings
        self._profile = profile

    def add(self, rows: Iterable[Sequence[str]]) -> None:
        """A line for each row."""
        self._target.write(self._profile.encoded(self._headings, rows))


PROFILES = {
    "machine": Profile(",", marked=False, only_texts=False),
    "excel": Profile(",", marked=True, only_texts=True),
    "excel_eu": Profile(";", marked=True, only_texts=True),
}
"""By name; `excel_eu` is for where the comma is the decimal mark."""

FOR_PEOPLE = Profile(",", marked=False, only_texts=True)
"""For lists that people open and programs read: a mark would be part of a heading."""
