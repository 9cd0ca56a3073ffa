"""The same record is the same, digit for digit, by whichever door it comes in."""

import csv
import datetime as dt
import io
import json
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import pyarrow as pa  # type: ignore[import-untyped]
import pytest
import xlsxwriter
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from tests.support.read_rows import rows_of
from worker.quotes.readers import inline_records
from worker.quotes.readers.formats import BY_SUFFIX
from worker.quotes.readers.reader import Reading
from worker.quotes.readers.records import Record

Rows = Sequence[dict[str, str]]


def _body(literals: Sequence[dict[str, str]]) -> Reading:
    """Records of a body, each field as it stands in the text of it."""
    objects = [
        "{" + ", ".join(f"{json.dumps(name)}: {one[name]}" for name in one) + "}"
        for one in literals
    ]
    records = inline_records.written_records(
        f'{{"records": [{", ".join(objects)}]}}'.encode()
    )
    assert records is not None
    return inline_records.read(records)


def _lines(literals: Sequence[dict[str, str]]) -> Reading:
    objects = [
        "{" + ", ".join(f"{json.dumps(name)}: {one[name]}" for name in one) + "}"
        for one in literals
    ]
    return BY_SUFFIX[".jsonl"].read(io.BytesIO("\n".join(objects).encode()))


def _quoted(rows: Rows) -> list[dict[str, str]]:
    return [{name: json.dumps(cell) for name, cell in row.items()} for row in rows]


def _csv(rows: Rows) -> Reading:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), quoting=csv.QUOTE_ALL)
    writer.writeheader()
    writer.writerows(rows)
    return BY_SUFFIX[".csv"].read(io.BytesIO(out.getvalue().encode()))


def _parquet(rows: Rows) -> Reading:
    return _arrow({name: pa.array([row[name] for row in rows]) for name in rows[0]})


def _arrow(columns: dict[str, Any]) -> Reading:
    out = io.BytesIO()
    parquet.write_table(pa.table(columns), out)
    return BY_SUFFIX[".parquet"].read(out)


def _xlsx(rows: Rows) -> Reading:
    out = io.BytesIO()
    with xlsxwriter.Workbook(out) as book:
        sheet = book.add_worksheet()
        for line, row in enumerate([{name: name for name in rows[0]}, *rows]):
            for place, cell in enumerate(row.values()):
                sheet.write_string(line, place, cell)
    return BY_SUFFIX[".xlsx"].read(out)


DOORS: dict[str, Callable[[Rows], Reading]] = {
    "body": lambda rows: _body(_quoted(rows)),
    "jsonl": lambda rows: _lines(_quoted(rows)),
    "csv": _csv,
    "parquet": _parquet,
}
if ".xlsx" in BY_SUFFIX:
    DOORS["xlsx"] = _xlsx


class Field(NamedTuple):
    """A field's text, as JSON has it unquoted, and as a column of Parquet has it."""

    text: str
    literal: str
    column: pa.Array


def _field(text: str, literal: str, value: object, kind: object = None) -> Field:
    return Field(text, literal, pa.array([value], kind))


FIELDS = {
    "company_id": _field("0042", '"0042"', "0042"),
    "person_id": _field(str(2**63 - 1), str(2**63 - 1), 2**63 - 1, pa.int64()),
    "rate": _field("1.50", "1.50", Decimal("1.50"), pa.decimal128(9, 2)),
    "long": _field("9" * 30, "9" * 30, Decimal("9" * 30), pa.decimal128(30, 0)),
    "whole": _field("1001", "1001", 1001.0, pa.float64()),
    "negative": _field("-7", "-7", -7, pa.int8()),
    "active": _field("true", "true", value=True),
    "since": _field("2020-01-31", '"2020-01-31"', dt.date(2020, 1, 31)),
    "phone": _field("+32475123456", '"+32475123456"', "+32475123456"),
    "zip": _field("01000", '"01000"', "01000"),
    "empty": _field("", "null", None, pa.string()),
    "spaces": _field("  two  spaces ", '"  two  spaces "', "  two  spaces "),
    "unicode": _field("Zoë 😀 نص", '"Zoë \\ud83d\\ude00 نص"', "Zoë 😀 نص"),
    "lines": _field("a\nb\tc", '"a\\nb\\tc"', "a\nb\tc"),
}
TEXTS = {name: field.text for name, field in FIELDS.items()}


def _record(reading: Reading) -> Record:
    (row,) = rows_of(reading)
    assert isinstance(row, Record), row
    return row


@pytest.mark.parametrize("door", DOORS)
def test_a_record_of_texts_is_the_same_by_every_door(door):
    assert _record(DOORS[door]([TEXTS])) == Record(1, TEXTS)


def test_a_record_of_numbers_words_and_dates_is_the_same_as_that_of_texts():
    literals = [{name: field.literal for name, field in FIELDS.items()}]
    assert _record(_body(literals)) == Record(1, TEXTS)
    assert _record(_lines(literals)) == Record(1, TEXTS)
    columns = {name: field.column for name, field in FIELDS.items()}
    assert _record(_arrow(columns)) == Record(1, TEXTS)


@pytest.mark.parametrize(
    "number", ["1.50", "1E3", "-0", "-0.0", "0.10000000000000000001", "1e400", "7"]
)
def test_a_number_of_a_body_and_of_a_line_is_the_text_that_was_written(number):
    literals = [{"company_id": '"a"', "x": number}]
    assert _record(_body(literals)).text("x") == number
    assert _record(_lines(literals)).text("x") == number


@pytest.mark.parametrize("door", DOORS)
def test_what_no_record_may_hold_is_refused_by_every_door(door):
    good = {"company_id": "a", "x": "y"}
    for wrong in (
        {"company_id": ""},
        {"company_id": "x" * 201},
        {"company_id": "\x01"},
    ):
        first, second, third = rows_of(DOORS[door]([good, good | wrong, good]))
        assert isinstance(first, Record)
        assert isinstance(second, list)
        assert [problem.field for problem in second] == ["company_id"]
        assert third == Record(3, good)


_MIB = 1 << 20


@pytest.mark.parametrize("door", [door for door in DOORS if door != "xlsx"])
def test_a_cell_and_a_record_have_the_same_bounds_by_every_door(door):
    good = {"company_id": "a", **{f"x{n}": "" for n in range(9)}}
    as_large_as_may_be = good | {"x0": "é" * (_MIB // 2)}
    assert isinstance(next(iter(rows_of(DOORS[door]([as_large_as_may_be])))), Record)
    cell = good | {"x0": "é" * (_MIB // 2) + "x"}
    record = good | {f"x{n}": "x" * _MIB for n in range(9)}
    for large, field in ((cell, "x0"), (record, None)):
        _, row, *_ = rows_of(DOORS[door]([good, large]))
        assert isinstance(row, list)
        assert row[0].field == field
        assert "is longer than" in row[0].message


cells = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8)


@given(st.lists(st.tuples(cells, cells), min_size=1, max_size=4))
def test_whatever_texts_come_they_are_the_same_records(pairs):
    rows = [{"company_id": "a", "x": x, "y": y} for x, y in pairs]
    found = {door: list(rows_of(read(rows))) for door, read in DOORS.items()}
    assert all(one == found["body"] for one in found.values())
