"""CSVs that were exported for spreadsheets, as they come in again.

They are known by how they begin, whatever is in them, and only in them is undone what
kept their cells texts: in a file of anybody else an apostrophe is one.
"""

from codecs import BOM_UTF8
from collections.abc import Iterable
from dataclasses import replace

from worker.quotes.readers.table import Piece, Table
from worker.spreadsheets.cell_texts import ESCAPES, restored
from worker.spreadsheets.csv_beginning import delimiter_of


def own_delimiter(head: bytes) -> str | None:
    """The delimiter of a CSV that was exported for spreadsheets; None of any other.

    `head` is how the file begins, as bytes: all of its header line, or more.
    """
    # Most files of others begin without the mark, and need no closer look.
    return delimiter_of(head) if head.startswith(BOM_UTF8) else None


def restored_cells(cells: Iterable[str]) -> list[str]:
    """Cells of such a file, of a row or a column, as the texts that they were.

    Its headings are cells like any other.
    """
    return [restored(cell) if cell[:1] in ESCAPES else cell for cell in cells]


def restored_table(table: Table) -> Table:
    """The table of such a file, as it was exported."""
    names = tuple(restored_cells(table.names))
    table.noticed.restored = True
    pieces = (_restored_piece(piece, names) for piece in table.pieces)
    return replace(table, names=names, pieces=pieces)


def _restored_piece(piece: Piece, names: tuple[str, ...]) -> Piece:
    columns = [restored_cells(cells) for cells in piece.columns]
    return piece._replace(names=names, columns=columns)
