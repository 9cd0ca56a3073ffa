"""Opening exported files with libraries that had no part in writing them."""

import csv
import io
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa  # type: ignore[import-untyped]
from pyarrow import parquet
from python_calamine import CalamineWorkbook

from worker.exports.writers.formats import format_of
from worker.exports.writers.writer import Format

Table = tuple[list[str], list[list[str]]]
"""Headings and rows."""


def write(format_: Format, headings: Sequence[str], *parts: Iterable[Any]) -> bytes:
    """A file of rows that come in these parts."""
    target = io.BytesIO()
    with format_.open(target, headings) as writer:
        for part in parts:
            writer.add(part)
    return target.getvalue()


def _csv(delimiter: str, mark: str = "") -> Callable[[bytes], Table]:
    def read(data: bytes) -> Table:
        text = data.decode()
        assert text.startswith(mark)
        lines = io.StringIO(text.removeprefix(mark), newline="")
        csv.field_size_limit(1 << 30)
        headings, *rows = csv.reader(lines, delimiter=delimiter, strict=True)
        return headings, rows

    return read


def _jsonl(data: bytes) -> Table:
    objects = [json.loads(line) for line in data.decode().split("\n")[:-1]]
    headings = list(objects[0]) if objects else []
    return headings, [list(values.values()) for values in objects]


def _parquet(data: bytes) -> Table:
    table = parquet.read_table(pa.BufferReader(data))
    cells_ = [column.to_pylist() for column in table]
    rows = [list(row) for row in zip(*cells_, strict=True)]
    return table.column_names, rows


def sheets(data: bytes) -> list[Table]:
    """All sheets of a workbook, by calamine, which decodes Excel's escapes."""
    book = CalamineWorkbook.from_filelike(io.BytesIO(data))
    tables = []
    for name in book.sheet_names:
        headings, *rows = book.get_sheet_by_name(name).to_python(skip_empty_area=False)
        assert all(isinstance(cell, str) for row in [headings, *rows] for cell in row)
        tables.append((headings, rows))
    return tables  # type: ignore[return-value]  # as was looked at


def _xlsx(data: bytes) -> Table:
    (table,) = sheets(data)
    return table


def cells(data: bytes) -> list[Any]:
    """All cells of a workbook that hold something, by openpyxl."""
    book = openpyxl.load_workbook(io.BytesIO(data))
    return [
        cell
        for waterfall in book.worksheets
        for row in waterfall.iter_rows()
        for cell in row
        if cell.value is not None
    ]


def decoded(text: str) -> str:
    """Excel's escapes in a text, which openpyxl leaves as they are."""
    return re.sub("_x([0-9A-Fa-f]{4})_", lambda found: chr(int(found[1], 16)), text)


WRITERS: dict[str, tuple[Format, Callable[[bytes], Table]]] = {
    "csv": (format_of("csv"), _csv(",")),
    "csv excel": (format_of("csv", "excel"), _csv(",", "\ufeff")),
    "csv excel_eu": (format_of("csv", "excel_eu"), _csv(";", "\ufeff")),
    "xlsx": (format_of("xlsx"), _xlsx),
    "jsonl": (format_of("jsonl"), _jsonl),
    "parquet": (format_of("parquet"), _parquet),
}
"""Every format and profile, and how another library reads it."""


_AS_UTF_8 = "--infilter=CSV:44,34,76,1"
"""Comma, double quote, UTF-8, from the first line: as a person confirms it on a screen.

Without a screen LibreOffice 7.4 passes a byte order mark over and takes a CSV for
Windows-1252.
"""


def office() -> str | None:
    """LibreOffice, where there is one."""
    return shutil.which("soffice") or shutil.which("libreoffice")


def as_office_sees(path: Path, folder: Path) -> list[list[str]]:
    """The values of a file's first sheet once LibreOffice has calculated it."""
    program = office()
    assert program is not None
    subprocess.run(
        [
            program,
            f"-env:UserInstallation={(folder / 'profile').as_uri()}",
            "--headless",
            *([_AS_UTF_8] if path.suffix == ".csv" else []),
            "--convert-to",
            "csv:Text - txt - csv (StarCalc):44,34,76",
            "--outdir",
            str(folder / "seen"),
            str(path),
        ],
        check=True,
        capture_output=True,
        timeout=120,
    )
    text = (folder / "seen" / f"{path.stem}.csv").read_text(encoding="utf-8-sig")
    return list(csv.reader(io.StringIO(text)))
