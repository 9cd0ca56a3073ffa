"""Lines of a CSV as RFC 4180 has them, with quotes also where readers miss them."""

import csv
import io
from collections.abc import Iterable, Sequence

from worker.spreadsheets.csv_beginning import COMMENT, END, quoted


def csv_lines(
    rows: Iterable[Sequence[str]], delimiter: str, *, all_quoted: bool = False
) -> bytes:
    """A line in UTF-8 for each row, which has one cell or more."""
    text = io.StringIO(newline="")
    lines = csv.writer(
        text,
        dialect="excel",
        delimiter=delimiter,
        lineterminator=END,
        quoting=csv.QUOTE_ALL if all_quoted else csv.QUOTE_MINIMAL,
    )
    for row in rows:
        if all_quoted or not row[0].startswith(COMMENT):
            lines.writerow(row)
            continue
        text.write(quoted(row[0]))
        if len(row) == 1:
            text.write(END)
        else:
            # An empty cell is nothing before its delimiter.
            lines.writerow(["", *row[1:]])
    return text.getvalue().encode()
