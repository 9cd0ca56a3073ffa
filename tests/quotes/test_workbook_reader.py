"""Reading workbooks: what is stored in their cells, and not what they show."""

import io
import os
import zipfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter

from tests.support.read_rows import rows_of
from worker.infrastructure.errors import BadInput, Code, Problem, Refused
from worker.quotes.readers.formats import XLSX
from worker.quotes.readers.records import Record
from worker.quotes.readers.table import UNTOLD, Noticed, ReadOptions

WORKBOOKS = Path(__file__).parents[1] / "data" / "workbooks"
NUMBERS = [
    (1001, "1001"),
    (0, "0"),
    (-7, "-7"),
    (2**53 - 1, "9007199254740991"),
    (1234567890123456789, "1234567890123457000"),
    (0.1, "0.1"),
    (1234567890.5, "1234567890.5"),
    (0.0000001, "0.0000001"),
    (1e22, "10000000000000000000000"),
]


def _workbook(fill: Callable[[Any], None], **options: Any) -> bytes:
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True, **options}) as book:
        fill(book)
    return out.getvalue()


def _sheets(**sheets: Any) -> bytes:
    def fill(book: Any) -> None:
        for name, rows in sheets.items():
            sheet = book.add_worksheet(name)
            for at, row in enumerate(rows):
                sheet.write_row(at, 0, row)

    return _workbook(fill)


def _read(
    data: bytes, options: ReadOptions = UNTOLD
) -> tuple[list[dict[str, str]], list[Problem], Noticed]:
    """The records' fields, the problems, and what was noticed."""
    reading = XLSX.read(io.BytesIO(data), options=options)
    rows = list(rows_of(reading))
    assert reading.noticed is not None
    return (
        [row.fields for row in rows if isinstance(row, Record)],
        [problem for row in rows if isinstance(row, list) for problem in row],
        reading.noticed,
    )


def _refused(data: bytes, options: ReadOptions = UNTOLD) -> str:
    with pytest.raises(BadInput) as refused:
        _read(data, options)
    return str(refused.value)


def _column(data: bytes) -> list[str]:
    return [record["value"] for record in _read(data)[0]]


def test_numbers_are_what_is_stored_with_no_more_digits_than_they_have():
    head = ["company_id", "value"]
    mixed = [head, ["c", "a text"], *[["c", number] for number, _ in NUMBERS]]
    assert _column(_sheets(One=mixed))[1:] == [text for _, text in NUMBERS]
    exact = [one for one in NUMBERS if abs(one[0]) < 2**53]
    alone = [head, *[["c", number] for number, _ in exact]]
    assert _column(_sheets(One=alone)) == [text for _, text in exact]


def test_a_number_that_lost_digits_is_no_id():
    rows = [["company_id", "note"], [1001, 2**60], [12345678901234567, 1], ["a", 2]]
    records, problems, _ = _read(_sheets(One=rows))
    assert [record["company_id"] for record in records] == ["1001", "a"]
    assert [(one.line, one.field) for one in problems] == [(3, "company_id")]
    assert "may have lost digits" in problems[0].message


def test_dates_booleans_formulas_and_texts_are_what_is_stored():
    def fill(book: Any) -> None:
        sheet = book.add_worksheet()
        day, clock, long = (
            book.add_format({"num_format": look})
            for look in ("dd/mm/yy", "hh:mm", "[h]:mm")
        )
        moment = datetime(2024, 2, 29, 12, 30, 5, 120_000)  # noqa: DTZ001 - as workbooks have it
        sheet.write_row(0, 0, ["company_id", "value"])
        sheet.write_column(1, 0, ["c"] * 12)
        sheet.write_datetime(1, 1, moment, day)
        sheet.write_datetime(
            2, 1, moment.replace(hour=0, minute=0, second=0, microsecond=0), day
        )
        sheet.write_number(3, 1, 0.75, clock)
        sheet.write_number(4, 1, 1.25, long)
        sheet.write(5, 1, True)  # noqa: FBT003 - a cell
        sheet.write(6, 1, False)  # noqa: FBT003 - the same
        sheet.write_formula(7, 1, "=1+1", None, 2)
        sheet.write_formula(8, 1, '="a"&"b"', None, "ab")
        sheet.write_string(9, 1, "=1+1")
        sheet.write_string(10, 1, " 0012 ")
        sheet.write_string(11, 1, "a\r\nb _x0041_")
        sheet.write_formula(12, 1, "=NA()", None, "#N/A")

    data = _workbook(fill)
    assert _column(data) == [
        "2024-02-29T12:30:05.12",
        "2024-02-29",
        "18:00:00",
        "P1DT6H0M0S",
        *("true", "false", "2", "ab", "=1+1", " 0012 ", "a\r\nb _x0041_", ""),
    ]
    assert _read(data)[2].error_cells == 1


@pytest.mark.parametrize("name", ["base.xls", "base.ods"])
def test_older_and_open_workbooks_are_read_alike(name):
    stream = io.BytesIO((WORKBOOKS / name).read_bytes())
    table = XLSX.table(stream, ReadOptions(sheet="Sheet1"))
    assert table.noticed.format == name[-3:]
    assert table.names[:7] == (
        *("String", "1", "1.1", "true", "false", "2010-10-10"),
        "2010-10-10T10:10:10",
    )


def test_lines_are_rows_and_empty_ones_are_counted():
    rows = [[], ["company_id", "name"], ["a", "A"], [], ["", "B"], [0, ""], [False]]
    records, problems, noticed = _read(_sheets(One=rows))
    assert records == [
        {"company_id": "a", "name": "A"},
        {"company_id": "0", "name": ""},
        {"company_id": "false", "name": ""},
    ]
    assert problems == [Problem(5, "company_id", "is empty")]
    assert noticed.empty_rows == 2


def test_a_column_without_a_name_must_be_empty():
    rows = [["company_id", "", "name"], ["a", None, "A"], ["b", "x", "B"], ["c"]]
    records, problems, noticed = _read(_sheets(One=rows))
    assert [record["company_id"] for record in records] == ["a", "c"]
    assert problems == [
        Problem(3, None, "column 2 has a value, and no name in the header")
    ]
    assert noticed.empty_columns == 1


def test_of_several_sheets_one_must_be_meant():
    data = _sheets(One=[["company_id"], ["a"]], Two=[["id", "x"], ["b", 1]], Three=[])
    assert "different columns: say which of One, Two is meant" in _refused(data)
    records, _, noticed = _read(data, ReadOptions(sheet="One"))
    assert (records, noticed.sheet) == ([{"company_id": "a"}], "One")
    assert noticed.sheets == ("One", "Two", "Three")
    assert _read(data, ReadOptions(sheet="1"))[0] == records
    assert "there is no sheet 'Four'" in _refused(data, ReadOptions(sheet="Four"))
    assert "is empty" in _refused(data, ReadOptions(sheet="Three"))


def test_sheets_with_the_same_columns_are_one_table():
    data = _sheets(One=[["company_id"], ["a"], ["b"]], Two=[["company_id"], ["c"]])
    records, _, noticed = _read(data)
    assert [record["company_id"] for record in records] == ["a", "b", "c"]
    assert noticed.sheet == "One, Two"


def test_a_hidden_sheet_is_read_only_by_its_name():
    def fill(book: Any) -> None:
        book.add_worksheet("Seen").write_column(0, 0, ["company_id", "a"])
        hidden = book.add_worksheet("Hidden")
        hidden.write_column(0, 0, ["id", "b"])
        hidden.hide()
        book.add_chartsheet()

    data = _workbook(fill)
    assert _read(data)[0] == [{"company_id": "a"}]
    assert "there are id" in _refused(data, ReadOptions(sheet="Hidden"))


def test_a_sheet_that_takes_too_much_memory_is_refused():
    def corners(book: Any) -> None:
        sheet = book.add_worksheet()
        sheet.write_string(0, 0, "company_id")
        sheet.write_string(1_048_575, 16_383, "x")

    with pytest.raises(Refused) as refused:
        _read(_workbook(corners), ReadOptions(workbook_bytes_max=256 << 20))
    assert refused.value.code is Code.TOO_LARGE
    # What its archive says is looked at before any work.
    promise = io.BytesIO()
    with zipfile.ZipFile(promise, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", b" " * 2_000_000)
    with pytest.raises(Refused) as refused:
        _read(promise.getvalue(), ReadOptions(workbook_bytes_max=999_999))
    assert refused.value.code is Code.TOO_LARGE


def test_a_large_cell_is_a_problem_of_its_row():
    def fill(book: Any) -> None:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, ["company_id", "note"])
        sheet.write_column(1, 0, ["a", "b", "c"])
        sheet.write_string(2, 1, "placeholder")

    data = _replaced(_workbook(fill), b"placeholder", b"x" * (1 << 20) + b"y")
    records, problems, _ = _read(data)
    assert [record["company_id"] for record in records] == ["a", "c"]
    assert problems == [Problem(3, None, "has a cell that is longer than 1 MiB")]


def _replaced(data: bytes, old: bytes, new: bytes) -> bytes:
    """A workbook with something else in its texts."""
    out = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(data)) as before,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as after,
    ):
        for name in before.namelist():
            after.writestr(name, before.read(name).replace(old, new))
    return out.getvalue()


def test_a_damaged_workbook_is_refused():
    data = _sheets(One=[["company_id"], *[[f"c{n}"] for n in range(100)]])
    sheet = data.index(b"xl/worksheets/sheet1.xml") + 60
    damaged = data[:sheet] + bytes(100) + data[sheet + 100 :]
    for broken in (damaged, data[:-100], data[: len(data) // 2]):
        assert "cannot be read" in _refused(broken) or "ZIP" in _refused(broken)


def test_its_process_ends_with_whoever_reads():
    data = _sheets(One=[["company_id"], *[[f"c{n}"] for n in range(5_000)]])
    before = _children()
    table = XLSX.table(io.BytesIO(data), UNTOLD)
    first = next(table.pieces)
    assert first.columns[0][0] == "c0"
    assert _children() > before
    del table
    assert _children() == before


def _children() -> set[str]:
    task = Path(f"/proc/{os.getpid()}/task")
    return {
        child
        for thread in task.iterdir()
        for child in (thread / "children").read_text().split()
    }
