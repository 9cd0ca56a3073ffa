"""A statement as a workbook: the table on one sheet, its numbers as numbers."""

import io
from datetime import datetime

from xlsxwriter import Workbook

from storage.finance.statements.lines import Statement
from worker.finance.statements import statement_table
from worker.finance.statements.statement_table import COLUMNS, NUMBERS

_CREATED_AT = datetime(1980, 1, 1)  # noqa: DTZ001 - the format knows no time zones
"""The same in each file, so that the same statement has the same bytes."""

_WIDTHS = {"section": 20, "key": 40, "job": 40, "at": 28}
_WIDTH = 12


def rendered(statement: Statement) -> bytes:
    """The same bytes for the same statement."""
    written = io.BytesIO()
    # Each text stays a text: ids come from others, and none of them is a formula.
    book = Workbook(written, {"in_memory": True, "strings_to_formulas": False})
    book.set_properties({"created": _CREATED_AT})
    sheet = book.add_worksheet("Statement")
    whole, bold = book.add_format({"num_format": "#,##0"}), book.add_format({"bold": 1})
    for column, name in enumerate(COLUMNS):
        sheet.set_column(column, column, _WIDTHS.get(name, _WIDTH))
        sheet.write_string(0, column, name, bold)
    sheet.freeze_panes(1, 0)
    for number, row in enumerate(statement_table.rows(statement), start=1):
        for column, (name, cell) in enumerate(zip(COLUMNS, row, strict=True)):
            if name in NUMBERS and cell:
                sheet.write_number(number, column, int(cell), whole)
            elif cell:
                sheet.write_string(number, column, cell)
    book.close()
    return written.getvalue()
