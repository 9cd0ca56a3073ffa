"""A program that reads a workbook on its input and writes rows as lines of JSON.

The library holds a whole sheet, so this is a process of its own, with a bound on its
memory and its time. It imports nothing of ours: it is started by its path.

Its first line says what it reads, or why it does not: `refused`. Then come rows by
columns, each cell as a text, and at last `end`, without which something is missing.
"""

import re
import resource
import sys
import zipfile
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import islice
from typing import Any, BinaryIO
from xml.etree import ElementTree as ET

import orjson

Row = list[Any]

_ROWS = 250
_AT_ONCE = 1 << 18
_EXACT_END = float(2**53)
"""From there on not every whole number is a float."""
_LINE_BYTES = 4 << 20
_RECORD_BYTES_MAX = 8 << 20
_CELL_BYTES_MAX = 1 << 20
_DAY_S = 86_400


class Refused(Exception):
    """Why a workbook is not read, in words."""


def main(memory_bytes: int, cpu_s: int, wanted: str) -> None:
    """Read the workbook; never raises what can be told."""
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s))
    try:
        _read(wanted)
    except Refused as refused:
        _say({"refused": str(refused)})
    except MemoryError:
        _say({"refused": "memory"})
    except Exception as error:  # noqa: BLE001 - whatever the library makes of a file
        reason = f"the workbook cannot be read: {error}"
        _say({"refused": f"{reason}; is it damaged, or protected by a password?"})
    sys.stdout.buffer.flush()


def _say(message: dict[str, Any]) -> None:
    sys.stdout.buffer.write(orjson.dumps(message) + b"\n")


def _read(wanted: str) -> None:
    import python_calamine  # noqa: PLC0415 - within the bounds

    book = python_calamine.CalamineWorkbook.from_filelike(sys.stdin.buffer)
    names = [
        one.name
        for one in book.sheets_metadata
        if one.typ == python_calamine.SheetTypeEnum.WorkSheet
    ]
    if wanted:
        chosen = [_named(wanted, names)]
    else:
        visible = python_calamine.SheetVisibleEnum.Visible
        shown = {one.name for one in book.sheets_metadata if one.visible == visible}
        chosen = [name for name in names if name in shown]
    sheets = _like_sheets(book, chosen)
    head = sheets[0]
    _say(
        {
            "header": head.header,
            "line": head.line,
            "sheets": names,
            "read": [one.name for one in sheets],
        }
    )
    empty, has_blanks = 0, False
    for sheet in sheets:
        rows = sheet.rows or _rows_of(book, sheet.name)
        skipped, blanks = _tell(sheet, rows)
        empty, has_blanks = empty + skipped, has_blanks or blanks
        sheet.rows = None
    # Where all cells have a value, none has an error instead.
    read = {one.name for one in sheets} if has_blanks else set()
    errors = _error_cells(sys.stdin.buffer, read) if read else 0
    _say({"end": True, "empty_rows": empty, "error_cells": errors})


class _Sheet:
    """A sheet whose header was read; `rows` are those behind it, once."""

    def __init__(self, name: str, rows: Iterator[Row]) -> None:
        self.name = name
        self.line, self.header = 0, []
        for line, row in enumerate(rows, start=1):
            if not _is_empty(row):
                self.line, self.header = line, _texts(row)
                break
        self.rows: Iterator[Row] | None = rows


def _rows_of(book: Any, name: str) -> Iterator[Row]:  # noqa: ANN401 - imported late
    """The rows behind the header of a sheet."""
    return _Sheet(name, book.get_sheet_by_name(name).iter_rows()).rows or iter(())


def _named(wanted: str, names: list[str]) -> str:
    """The sheet of a name, or of a place counted from 1."""
    if wanted in names:
        return wanted
    if wanted.isascii() and wanted.isdigit() and 0 < int(wanted) <= len(names):
        return names[int(wanted) - 1]
    raise Refused(f"there is no sheet {wanted!r}; there are {', '.join(names)}")


def _like_sheets(book: Any, names: list[str]) -> list[_Sheet]:  # noqa: ANN401 - the same
    """The sheets that are one table: the only one, or all that have the same header."""
    found: list[_Sheet] = []
    for name in names:
        sheet = _Sheet(name, book.get_sheet_by_name(name).iter_rows())
        if not sheet.header:
            continue
        if found:
            # Only one is held at a time.
            sheet.rows = None
        found.append(sheet)
    if not found:
        raise Refused("the workbook is empty: a header row is missing")
    if any(sheet.header != found[0].header for sheet in found):
        there = ", ".join(sheet.name for sheet in found)
        message = f"there are {len(found)} sheets with different columns: say which of"
        raise Refused(f"{message} {there} is meant, by its name as the sheet")
    return found


_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_ERROR = b' t="e"'
_ERROR_CELL = re.compile(rb'<(?:\w+:)?c [^<>]*\bt="e"')


def _error_cells(stream: BinaryIO, sheets: set[str]) -> int:
    """How many cells of some sheets of an XLSX show an error: the library has none."""
    stream.seek(0)
    if not zipfile.is_zipfile(stream):
        return 0
    with zipfile.ZipFile(stream) as archive:
        if "xl/workbook.xml" not in archive.namelist():
            return 0
        return sum(
            _errors_in(archive, name)
            for name in _sheet_files(archive, sheets)
            if name in archive.namelist()
        )


def _sheet_files(archive: zipfile.ZipFile, sheets: set[str]) -> list[str]:
    book = _parsed(archive, "xl/workbook.xml")
    relations = _parsed(archive, "xl/_rels/workbook.xml.rels")
    targets = {one.get("Id"): one.get("Target", "") for one in relations}
    ids = [
        one.get(_RELATION)
        for one in book.iter()
        if one.tag.endswith("}sheet") and one.get("name") in sheets
    ]
    found = [targets[one] for one in ids if one in targets]
    return [one[1:] if one.startswith("/") else f"xl/{one}" for one in found]


def _parsed(archive: zipfile.ZipFile, name: str) -> ET.Element:
    return ET.fromstring(archive.read(name))  # noqa: S314 - this process has its bounds


def _errors_in(archive: zipfile.ZipFile, name: str) -> int:
    count, unended = 0, b""
    with archive.open(name) as file:
        while data := file.read(_AT_ONCE):
            data = unended + data
            if _ERROR in data:
                count += len(_ERROR_CELL.findall(data))
            unended = data[data.rfind(b"<") :]
            if b">" in unended:
                unended = b""
    return count


def _is_empty(row: Row) -> bool:
    # Zero and false are values.
    return not any(row) and all(cell == "" for cell in row)


def _tell(sheet: _Sheet, rows: Iterator[Row]) -> tuple[int, bool]:
    """Say all rows; answer how many were empty, and whether cells may be."""
    line, empty, has_blanks = sheet.line, 0, False
    unnamed = [at for at, name in enumerate(sheet.header) if not name.strip()]
    while piece := list(islice(rows, _ROWS)):
        lines = list(range(line + 1, line + 1 + len(piece)))
        line += len(piece)
        if not all(map(any, piece)):
            kept = [at for at, row in enumerate(piece) if not _is_empty(row)]
            empty += len(piece) - len(kept)
            piece = [piece[at] for at in kept]
            lines = [lines[at] for at in kept]
        bad: list[tuple[int, int | None, str]] = []
        if unnamed:
            piece, lines = _without_unnamed(piece, lines, unnamed, bad)
        if not has_blanks and not all(map(all, piece)):
            has_blanks = any("" in row for row in piece)
        _say_piece(piece, lines, bad)
    return empty, has_blanks


def _without_unnamed(
    piece: list[Row],
    lines: list[int],
    unnamed: list[int],
    bad: list[tuple[int, int | None, str]],
) -> tuple[list[Row], list[int]]:
    """Rows without the columns that have no name; those with a value there are bad."""
    left, there = [], []
    named = [at for at in range(len(piece[0])) if at not in unnamed] if piece else []
    for line, row in zip(lines, piece, strict=True):
        at = next((at for at in unnamed if row[at] != ""), None)
        if at is None:
            left.append([row[at] for at in named])
            there.append(line)
        else:
            bad.append((line, at, "has a value, and no name in the header"))
    return left, there


def _say_piece(
    piece: list[Row], lines: list[int], bad: list[tuple[int, int | None, str]]
) -> None:
    """Say some rows, fewer at a time where they are large."""
    if not piece and not bad:
        return
    stored = list(zip(*piece, strict=True))
    columns = [_texts(column) for column in stored]
    said = {"lines": lines, "columns": columns, "bad": bad}
    inexact = [
        (at, place)
        for at, column in enumerate(stored)
        if columns[at] is not column
        for place in _inexact(column)
    ]
    line = orjson.dumps(said | ({"inexact": inexact} if inexact else {})) + b"\n"
    if len(line) <= _CELL_BYTES_MAX:
        sys.stdout.buffer.write(line)
        return
    if len(piece) > 1 and len(line) > _LINE_BYTES:
        half = len(piece) // 2
        _say_piece(piece[:half], lines[:half], bad)
        _say_piece(piece[half:], lines[half:], [])
        return
    message = _too_large(columns, len(line))
    if message and len(piece) == 1:
        _say({"lines": [], "columns": [], "bad": [*bad, (lines[0], None, message)]})
    elif message:
        half = len(piece) // 2
        _say_piece(piece[:half], lines[:half], bad)
        _say_piece(piece[half:], lines[half:], [])
    else:
        sys.stdout.buffer.write(line)


def _too_large(columns: list[list[str]], size: int) -> str | None:
    cells = (cell for column in columns for cell in column)
    if any(len(cell.encode()) > _CELL_BYTES_MAX for cell in cells):
        return f"has a cell that is longer than {_CELL_BYTES_MAX >> 20} MiB"
    if size > _RECORD_BYTES_MAX:
        return f"is longer than {_RECORD_BYTES_MAX >> 20} MiB"
    return None


def _texts(cells: Any) -> Any:  # noqa: ANN401 - a column as the library has it
    """What is stored in cells, as texts."""
    kinds = set(map(type, cells))
    if kinds == {str}:
        return cells
    if kinds == {float} and max(map(abs, cells)) < _EXACT_END:
        # As JSON all at once: the fewest digits that are the number again.
        texts = orjson.dumps(cells)[1:-1].decode()
        if "e" not in texts and "-0.0" not in texts and "n" not in texts:
            return (texts + ",").replace(".0,", ",")[:-1].split(",")
    return [cell if type(cell) is str else _text(cell) for cell in cells]


def _text(cell: Any) -> str:  # noqa: ANN401 - a cell as the library has it
    """A value that is no text: as it is stored, not as it is shown."""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float):
        return _number(cell)
    if isinstance(cell, datetime | time):
        text = cell.isoformat()
        return text.rstrip("0") if cell.microsecond else text
    if isinstance(cell, date):
        return cell.isoformat()
    if isinstance(cell, timedelta):
        return _duration(cell)
    return str(cell)


def _number(value: float) -> str:
    """Whole numbers without a point, others with the fewest digits; no exponent."""
    if value.is_integer() and abs(value) < _EXACT_END:
        return str(int(value))
    text = repr(value)
    return format(Decimal(text), "f") if "e" in text else text


def _inexact(cells: Row | tuple[Any, ...]) -> list[int]:
    """The places of numbers that may have lost digits."""
    floats = [abs(cell) for cell in cells if type(cell) is float]
    if not floats or max(floats) < _EXACT_END:
        return []
    return [
        at
        for at, cell in enumerate(cells)
        if type(cell) is float and abs(cell) >= _EXACT_END
    ]


def _duration(value: timedelta) -> str:
    """A duration by ISO 8601, such as `P1DT6H30M0S`."""
    if value < timedelta():
        return f"-{_duration(-value)}"
    minutes, seconds = divmod(value.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    fraction = f".{value.microseconds:06}".rstrip("0").rstrip(".")
    days = f"{value.days}D" if value.days else ""
    return f"P{days}T{hours}H{minutes}M{seconds}{fraction}S"


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
