"""A sheet whose cells are all texts of one format, written a row at a time.

XlsxWriter takes a cell at a time and looks each of them over several times. Most rows
hold nothing that needs it: those are put together here, byte for byte as it would. All
others go its own way, and so does what is no row. It keeps what is written here beside
it: rows go to its stream, in their order, and their extent to its `dim_…`.

Lines within a cell end as Excel itself ends them, with a line feed alone: a carriage
return would be written as `_x000D_`, which many readers show.
"""

import re
from collections.abc import Sequence

from xlsxwriter.format import Format
from xlsxwriter.utility import xl_col_to_name
from xlsxwriter.worksheet import Worksheet

_UNITS_SURELY_FIT = 16_383
"""A row of at most so many characters has no cell that is longer than Excel's limit."""

_END = "</t></is></c>"

_ENDS_OF_LINES = re.compile(r"\r\n?")


class TextSheet(Worksheet):  # type: ignore[misc]  # it has no types
    """A sheet of a workbook in constant memory; rows come in their order."""

    def prepare(self, columns: int, text: Format) -> None:
        """Write cells of at most so many columns, in this format."""
        self._text = text
        self._heads = [f'<c r="{xl_col_to_name(column)}' for column in range(columns)]

    def write_texts(self, number: int, cells: Sequence[str]) -> None:
        """Write a row, which counts from 0; empty cells but the first are left out."""
        joined = "\0".join(cells)
        if len(cells) != len(self._heads) or not _is_plain(cells, joined):
            self._write_each(number, cells)
            return
        if "&" in joined or "<" in joined or ">" in joined:
            cells = self._escape_data(joined).split("\0")
        if self.table:
            self._write_single_row(number)
        # The column's own format, which XlsxWriter gives each cell of it.
        tail = f'{number + 1}" s="{self._text._get_xf_index()}" t="inlineStr"><is><t>'  # noqa: SLF001 - as a cell of the library does
        row = [
            f"{head}{tail}{cell}{_END}"
            for head, cell in zip(self._heads, cells, strict=True)
            if cell
        ]
        if not cells[0]:
            row.insert(0, f"{self._heads[0]}{tail}{_END}")
        self.fh.write(f'<row r="{number + 1}">{"".join(row)}</row>')
        self._extend(number, cells)

    def _extend(self, number: int, cells: Sequence[str]) -> None:
        """Note how far the rows reach: the last column with anything, and this row."""
        self.previous_row = number
        last = len(cells) - 1
        while last and not cells[last]:
            last -= 1
        if self.dim_rowmin is None or last > self.dim_colmax:
            self._check_dimensions(number, 0)
            self._check_dimensions(number, last)
        self.dim_rowmax = number

    def _write_each(self, number: int, cells: Sequence[str]) -> None:
        """The same as the library writes it, cell by cell."""
        for column, text in enumerate(cells):
            cell = _ENDS_OF_LINES.sub("\n", text)
            if cell.startswith("<r>") and cell.endswith("</r>"):
                # XlsxWriter takes this for its own XML and would write it as it is;
                # in two pieces it is data.
                pieces = cell[:1], self._text, cell[1:]
                self.write_rich_string(number, column, *pieces)
            elif cell or not column:
                self.write_string(number, column, cell)


def _is_plain(cells: Sequence[str], joined: str) -> bool:
    """Whether no cell has anything to escape but markup, or a space at its ends.

    What can be printed has no control character, no non-character and no other space.
    """
    return (
        0 < len(joined) <= _UNITS_SURELY_FIT
        and "".join(cells).isprintable()
        and "_x" not in joined
        and "<r>" not in joined
        and "\0 " not in joined
        and " \0" not in joined
        and joined[0] != " "
        and joined[-1] != " "
    )
