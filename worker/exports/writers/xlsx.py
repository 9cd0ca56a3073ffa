"""XLSX: every cell is a text, so that no phone loses its zeros and no `=` calculates.

XlsxWriter in constant memory keeps the rows in a folder of temporary files until the
end: about 1.3 KB a row of 20 columns, twice that while the file is put together.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from tempfile import TemporaryDirectory

from xlsxwriter import Workbook
from xlsxwriter.exceptions import XlsxFileError

from worker.exports.writers.text_sheet import TextSheet
from worker.exports.writers.writer import Stream, Target

SHEET_ROWS_MAX = 1_048_576
"""Excel's limit; the first row of a sheet holds the headings."""

_CREATED_AT = datetime(1980, 1, 1)  # noqa: DTZ001 - the format knows no time zones
"""The same in each file, as the times of its parts are."""

_COLUMN_WIDTH = 18


@contextmanager
def open_workbook(
    target: Target,
    headings: Sequence[str],
    *,
    sheet_rows_max: int = SHEET_ROWS_MAX,
) -> Iterator["_Sheets"]:
    """Open a workbook; what does not fit on a sheet goes on on the next.

    Nothing reaches the target before the end.
    """
    stream = Stream(target)
    with TemporaryDirectory(prefix="holdfast-xlsx-") as folder:
        book = Workbook(
            stream,
            {
                "constant_memory": True,
                "tmpdir": folder,
                # Takes effect where a part is larger than 2 GiB, and only there.
                "use_zip64": True,
            },
        )
        book.set_properties({"created": _CREATED_AT})
        try:
            yield _Sheets(book, headings, sheet_rows_max)
            _close(book)
            stream.check()
        except BaseException:
            stream.abandon()
            _let_go(book)
            raise


def _close(book: Workbook) -> None:
    try:
        book.close()
    except XlsxFileError as error:
        if isinstance(error.__context__, OSError):
            # What went wrong, so that no room is told from what else there is.
            raise error.__context__ from error
        raise


def _let_go(book: Workbook) -> None:
    """Close the temporary files of a book that will not be finished."""
    for sheet in book.worksheets():
        for stream in (sheet.row_data_fh, sheet.fh):
            with suppress(OSError):
                stream.close()


class _Sheets:
    def __init__(
        self, book: Workbook, headings: Sequence[str], sheet_rows_max: int
    ) -> None:
        self._book = book
        self._headings = headings
        self._rows_max = sheet_rows_max
        # A text stays one when somebody edits it.
        self._text = book.add_format({"num_format": "@"})
        self._begin_sheet()

    def add(self, rows: Iterable[Sequence[str]]) -> None:
        """Append rows, on a further sheet where this one is full."""
        for row in rows:
            if self._row == self._rows_max:
                self._begin_sheet()
            self._write(row)

    def _begin_sheet(self) -> None:
        number = len(self._book.worksheets()) + 1
        self._sheet: TextSheet = self._book.add_worksheet(
            f"Records {number}" if number > 1 else "Records", TextSheet
        )
        self._sheet.prepare(len(self._headings), self._text)
        self._sheet.set_column(0, len(self._headings) - 1, _COLUMN_WIDTH, self._text)
        self._sheet.freeze_panes(1, 0)
        # No green corner at each phone and VAT number: they are meant to be texts.
        self._sheet.ignore_errors({"number_stored_as_text": "A1:XFD1048576"})
        self._row = 0
        self._write(self._headings)

    def _write(self, row: Sequence[str]) -> None:
        self._sheet.write_texts(self._row, row)
        self._row += 1
