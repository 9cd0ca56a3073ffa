"""A statement as CSV: the table as it is, in the profile for people."""

import io

from storage.finance.statements.lines import Statement
from worker.exports.writers import delimited
from worker.finance.statements import statement_table


def rendered(statement: Statement) -> bytes:
    """The same bytes for the same statement."""
    written = io.BytesIO()
    with delimited.FOR_PEOPLE.open(written, statement_table.COLUMNS) as writer:
        writer.add(statement_table.rows(statement))
    return written.getvalue()
