"""A statement as CSV: the table as it is, with no text that could be a formula."""

import io

from storage.finance.statements.lines import Statement
from worker.exports.writers.delimited import PROFILES
from worker.finance.statements import statement_table
from worker.finance.statements.statement_table import COLUMNS, NUMBERS
from worker.spreadsheets.cell_texts import as_text


def rendered(statement: Statement) -> bytes:
    """The same bytes for the same statement."""
    written = io.BytesIO()
    # The numbers are ours, and some begin with a minus; all else comes from others.
    with PROFILES["machine"].open(written, COLUMNS) as writer:
        writer.add(
            [
                cell if name in NUMBERS else as_text(cell)
                for name, cell in zip(COLUMNS, row, strict=True)
            ]
            for row in statement_table.rows(statement)
        )
    return written.getvalue()
