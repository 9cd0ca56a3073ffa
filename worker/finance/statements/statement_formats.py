"""The formats of a statement: each renders the same table."""

from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple

from storage.finance.statements.lines import Statement
from worker.finance.statements.statements import ShownStatement


class StatementFormat(StrEnum):
    """What a statement is had as."""

    JSON = "json"
    CSV = "csv"
    XLSX = "xlsx"
    PDF = "pdf"


class StatementFile(NamedTuple):
    """A statement as a file."""

    name: str
    media_type: str
    data: bytes


MEDIA_TYPES = {
    StatementFormat.JSON: "application/json",
    StatementFormat.CSV: "text/csv",
    StatementFormat.XLSX: (
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    ),
    StatementFormat.PDF: "application/pdf",
}


def file_of(shown: ShownStatement, format_: StatementFormat) -> StatementFile:
    """A statement as a file: the same bytes, whenever the same one is asked for."""
    statement = shown.statement
    if format_ is StatementFormat.JSON:
        data = shown.document.encode()
    else:
        data = _renderer(format_)(statement)
    name = f"statement {statement.license_id} {statement.starts_at:%Y-%m-%d}"
    run = f" run {statement.run}" if statement.run > 1 else ""
    return StatementFile(f"{name}{run}.{format_}", MEDIA_TYPES[format_], data)


def _renderer(format_: StatementFormat) -> Callable[[Statement], bytes]:
    """Loaded where it is asked for: few processes write workbooks or pages."""
    match format_:
        case StatementFormat.XLSX:
            from worker.finance.statements import xlsx_statement  # noqa: PLC0415 - 3 MB

            return xlsx_statement.rendered
        case StatementFormat.PDF:
            from worker.finance.statements import pdf_statement  # noqa: PLC0415 - the same

            return pdf_statement.rendered
        case _:
            from worker.finance.statements import csv_statement  # noqa: PLC0415 - the same

            return csv_statement.rendered
