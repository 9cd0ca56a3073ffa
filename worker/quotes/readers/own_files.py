"""CSVs that were exported for spreadsheets, as they come in again.

They are known by how they begin, whatever is in them, and only in them is undone what
kept their cells texts: in a file of anybody else an apostrophe is one.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from worker.spreadsheets.cell_texts import ESCAPES, restored
from worker.spreadsheets.csv_beginning import delimiter_of


class OwnFile(NamedTuple):
    """A CSV that was exported for spreadsheets."""

    delimiter: str

    def rows(self, rows: Iterable[Sequence[str]]) -> Iterator[list[str]]:
        """Rows of the file as they were before it was written, its header with them."""
        for row in rows:
            yield [restored(cell) if cell[:1] in ESCAPES else cell for cell in row]


def own_file(head: bytes) -> OwnFile | None:
    """What a file is that begins so; None where it was not exported for spreadsheets.

    `head` has all of the header line, or more of the file.
    """
    delimiter = delimiter_of(head)
    return None if delimiter is None else OwnFile(delimiter)
