"""Reading Parquet: plain columns become text, a problem names its row."""

import datetime as dt
from decimal import Decimal
from io import BytesIO

import pyarrow as pa  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet as arrow

from tests.support.read_rows import rows_of
from worker.infrastructure.errors import BadInput, Problem
from worker.quotes.readers.formats import PARQUET
from worker.quotes.readers.reader import Reading
from worker.quotes.readers.records import Record


def _file(columns: dict[str, object], **options) -> bytes:
    out = BytesIO()
    arrow.write_table(pa.table(columns), out, **options)
    return out.getvalue()


def _read(columns: dict[str, object], **options) -> Reading:
    return PARQUET.read(BytesIO(_file(columns, **options)))


def _refused(data: bytes) -> Problem:
    with pytest.raises(BadInput) as refused:
        PARQUET.read(BytesIO(data))
    (problem,) = refused.value.problems
    return problem


def test_a_row_becomes_a_record_with_all_its_fields():
    reading = _read({"company_id": ["a", "b"], "person_id": ["p", None]})
    assert reading.columns == ("company_id", "person_id")
    assert list(rows_of(reading)) == [
        Record(1, {"company_id": "a", "person_id": "p"}),
        Record(2, {"company_id": "b"}),
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (42, "42"),
        (1.5, "1.5"),
        (True, "true"),
        (None, ""),
        (Decimal("1.20"), "1.20"),
        (dt.date(2020, 1, 31), "2020-01-31"),
        (pa.scalar("x").cast(pa.dictionary(pa.int32(), pa.string())), "x"),
    ],
)
def test_plain_values_become_text(value, text):
    (row,) = rows_of(_read({"company_id": ["a"], "x": pa.array([value])}))
    assert isinstance(row, Record)
    assert row.text("x") == text


@pytest.mark.parametrize("value", [[1], {"a": 1}, b"raw"])
def test_a_column_that_is_not_plain_is_named(value):
    problem = _refused(_file({"company_id": ["a"], "x": pa.array([value])}))
    assert (problem.line, problem.field) == (0, "x")


def test_a_missing_company_id_column_is_named():
    assert _refused(_file({"name": ["Acme"]})) == Problem(
        0, "company_id", "the column is missing; there are name"
    )


def test_problems_name_row_and_field_across_row_groups():
    ids = [f"c{n}" for n in range(9_000)]
    ids[0], ids[4_321], ids[8_999] = "", "\x01", "x" * 201
    rows = list(rows_of(_read({"company_id": ids}, row_group_size=1_000)))
    bad = [problem for row in rows if isinstance(row, list) for problem in row]
    assert [problem.line for problem in bad] == [1, 4_322, 9_000]
    assert {problem.field for problem in bad} == {"company_id"}
    assert rows[5_000] == Record(5_001, {"company_id": "c5000"})


def test_broken_utf8_is_named_by_row_and_column():
    raw = pa.array([b"fine", b"br\xffo", b"too"])
    broken = pa.Array.from_buffers(pa.string(), 3, raw.buffers())
    rows = list(rows_of(_read({"company_id": ["a", "b", "c"], "name": broken})))
    assert rows[1] == [Problem(2, "name", "is not valid UTF-8")]
    assert isinstance(rows[2], Record)


def test_rows_are_read_as_they_are_asked_for():
    data = _file({"company_id": [f"c{n}" for n in range(9_000)]}, row_group_size=1_000)
    cut = bytearray(data)
    cut[len(data) // 3 : len(data) // 2] = b"\xff" * (len(data) // 2 - len(data) // 3)
    rows = list(rows_of(PARQUET.read(BytesIO(bytes(cut)))))
    assert rows[0] == Record(1, {"company_id": "c0"})
    assert isinstance(rows[-1], list)
    (problem,) = rows[-1]
    assert "the rows cannot be read" in problem.message


def test_a_file_without_rows_has_none():
    assert list(rows_of(_read({"company_id": pa.array([], pa.string())}))) == []


def test_the_stream_stays_open_for_whoever_opened_it():
    stream = BytesIO(_file({"company_id": ["a"]}))
    assert len(list(rows_of(PARQUET.read(stream)))) == 1
    assert not stream.closed


@given(st.binary(max_size=200))
def test_what_is_no_parquet_is_said(data):
    message = _refused(data).message
    assert message.startswith(("the file is", "the ZIP", "cannot be")) or (
        "cannot be read as Parquet" in message
    )


@given(st.data())
def test_a_damaged_file_is_records_or_problems(data):
    whole = bytearray(_file({"company_id": ["a", "b"], "x": [1, 2]}))
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= data.draw(st.integers(1, 255))
    try:
        rows = list(rows_of(PARQUET.read(BytesIO(bytes(whole)))))
    except BadInput:
        rows = []
    assert all(isinstance(row, Record) or row for row in rows)
