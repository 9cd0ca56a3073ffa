"""CSV: UTF-8 and CRLF as RFC 4180 has it, in a profile for whoever reads it.

For machines every value stays as it is. Where a spreadsheet opens it, values are kept
from becoming formulas. The profiles for Excel begin with a byte order mark too, without
which Excel takes UTF-8 for something else.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from worker.exports.writers.formulas import as_texts
from worker.exports.writers.writer import Target

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Profile:
    """For whom a CSV is written."""

    delimiter: str
    marked: bool
    """Whether it begins with a byte order mark."""
    only_texts: bool
    """Whether no value may be read as a formula."""

    @contextmanager
    def open(self, target: Target, headings: Sequence[str]) -> Iterator["_Delimited"]:
        """Open a CSV; its header line is there at once."""
        if self.marked:
            target.write(_BYTE_ORDER_MARK)
        writer = _Delimited(target, self)
        writer.add([headings])
        yield writer

    def encoded(
        self,
        headings: Sequence[str],  # noqa: ARG002 - no line names its columns
        rows: Iterable[Sequence[str]],
    ) -> bytes:
        """A line for each row."""
        text = io.StringIO(newline="")
        csv.writer(
            text, dialect="excel", delimiter=self.delimiter, lineterminator="\r\n"
        ).writerows(as_texts(rows) if self.only_texts else rows)
        return text.getvalue().encode()


class _Delimited:
    def __init__(self, target: Target, profile: Profile) -> None:
        self._target = target
        self._profile = profile

    def add(self, rows: Iterable[Sequence[str]]) -> None:
        """A line for each row."""
        self._target.write(self._profile.encoded((), rows))


PROFILES = {
    "machine": Profile(",", marked=False, only_texts=False),
    "excel": Profile(",", marked=True, only_texts=True),
    "excel_eu": Profile(";", marked=True, only_texts=True),
}
"""By name; `excel_eu` is for where the comma is the decimal mark."""

FOR_PEOPLE = Profile(",", marked=False, only_texts=True)
"""For lists that people open and programs read: a mark would be part of a heading."""
