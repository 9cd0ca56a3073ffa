"""Reading Parquet: plain columns become text, a problem names its row."""

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


@pytest.mark.parametrize("kind", [pa.string(), pa.dictionary(pa.int64(), pa.string())])
def test_broken_utf8_is_named_by_row_and_column(kind):
    raw = pa.array([b"fine", b"br\xffo", b"too"])
    broken = pa.Array.from_buffers(pa.string(), 3, raw.buffers())
    if pa.types.is_dictionary(kind):
        broken = pa.DictionaryArray.from_arrays(pa.array([0, 1, 2]), broken)
    rows = list(rows_of(_read({"company_id": ["a", "b", "c"], "name": broken})))
    assert rows[1] == [Problem(2, "name", "is not valid UTF-8")]
    assert isinstance(rows[2], Record)


def _damaged(data: bytes) -> bytes:
    """A file with three row groups, the second of which cannot be read."""
    groups = arrow.ParquetFile(BytesIO(data)).metadata
    column = groups.row_group(1).column(0)
    first: int = column.dictionary_page_offset + 20
    last: int = groups.row_group(2).column(0).dictionary_page_offset - 20
    return data[:first] + b"\xff" * (last - first) + data[last:]


def test_rows_that_cannot_be_read_are_counted_and_the_next_row_group_is_read():
    data = _file({"company_id": [f"c{n}" for n in range(9_000)]}, row_group_size=3_000)
    reading = PARQUET.read(BytesIO(_damaged(data)))
    rows = list(rows_of(reading))
    assert len(rows) == 6_001
    passed_over = rows[3_000]
    assert isinstance(passed_over, list)
    (problem,) = passed_over
    assert (problem.line, problem.field) == (3_001, None)
    assert "the rows cannot be read, up to row 6000" in problem.message
    assert rows[0] == Record(1, {"company_id": "c0"})
    assert rows[3_001] == Record(6_001, {"company_id": "c6000"})
    assert reading.noticed is not None
    (told,) = reading.noticed.unread
    assert told.startswith("rows 3001 to 6000 (3000 of them)")


def test_a_page_that_changed_since_it_was_written_is_not_read():
    data = _file(
        {"company_id": ["a"], "phone": ["+32475123456"]},
        write_page_checksum=True,
        compression="none",
    )
    changed = data.replace(b"+32475123456", b"+32475123459", 1)
    (row,) = rows_of(PARQUET.read(BytesIO(changed)))
    assert isinstance(row, list)
    (problem,) = row
    assert "CRC checksum" in problem.message


def test_rows_are_read_as_they_are_asked_for():
    data = _file({"company_id": [f"c{n}" for n in range(9_000)]}, row_group_size=1_000)
    stream = BytesIO(data)
    reading = PARQUET.read(stream)
    assert next(rows_of(reading)) == Record(1, {"company_id": "c0"})
    assert stream.tell() < len(data) // 2


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
