"""CSV for machines: UTF-8, comma, no byte order mark, CRLF as RFC 4180 has it."""

import csv
import io
from collections.abc import Iterable, Sequence


class Delimited:
    """Writes CSV."""

    extension = "csv"

    def head(self, columns: Sequence[str]) -> bytes:
        """The header line."""
        return self.part([columns])

    def part(self, rows: Iterable[Sequence[str]]) -> bytes:
        """A line for each row."""
        text = io.StringIO(newline="")
        csv.writer(text, dialect="excel", lineterminator="\r\n").writerows(rows)
        return text.getvalue().encode()
