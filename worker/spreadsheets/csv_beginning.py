"""CSVs of ours for spreadsheets: how they begin, and how a reader knows them again.

They begin with a byte order mark and a header line whose last heading is in quotes,
needed or not, while the others have quotes only where they need them. To a reader of
CSV that is the same header. Other programs quote what needs it, or all texts, so that
nobody else begins a file like this. A reader writes the header that it found once more,
and where the bytes are the same, each cell of the file goes through `restored`.

A spreadsheet that saves such a file drops the quotes: then the file is its own. What
was `="0475"` is saved as the text that it showed, and an apostrophe stays.
"""

import csv
import io
from collections.abc import Sequence

from worker.spreadsheets.cell_texts import as_text, restored

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
"""Without it Excel takes UTF-8 for something else."""

DELIMITERS = (",", ";")
"""Of the files that are written for spreadsheets."""

END = "\r\n"
"""What ends a line."""

COMMENT = "#"
"""A line that begins so is a comment to some readers, unless it begins quoted."""


def quoted(cell: str) -> str:
    """A cell in quotes, needed or not."""
    doubled = cell.replace('"', '""')
    return f'"{doubled}"'


def beginning(headings: Sequence[str], delimiter: str) -> bytes:
    """How a CSV with these headings begins: its mark and its header line."""
    *others, last = [as_text(heading) for heading in headings]
    cells = [
        quoted(cell) if _needs_quotes(cell, delimiter) else cell for cell in others
    ]
    line = delimiter.join([*cells, quoted(last)]) + END
    return BYTE_ORDER_MARK + line.encode()


def _needs_quotes(cell: str, delimiter: str) -> bool:
    return cell.startswith(COMMENT) or any(one in cell for one in (delimiter, *'"\r\n'))


def delimiter_of(head: bytes) -> str | None:
    """The delimiter of a CSV of ours for spreadsheets; None where it is another's.

    `head` is the file's first bytes: all of its header line, or more.
    """
    if not head.startswith(BYTE_ORDER_MARK):
        return None
    text = head.decode("utf-8-sig", errors="replace")
    for delimiter in DELIMITERS:
        lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        try:
            headings = [restored(cell) for cell in next(lines, [])]
        except csv.Error:
            continue
        if headings and head.startswith(beginning(headings, delimiter)):
            return delimiter
    return None
