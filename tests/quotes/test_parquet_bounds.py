"""What a Parquet file promises is held to bounds before any of its rows is read."""

from io import BytesIO

import pyarrow as pa  # type: ignore[import-untyped]
import pytest
from pyarrow import parquet

from tests.support.read_rows import rows_of
from worker.infrastructure.errors import BadInput, Problem
from worker.quotes.readers.formats import PARQUET
from worker.quotes.readers.records import Record

_MIB = 1 << 20
_ONE_PAGE = {"use_dictionary": False, "data_page_size": 1 << 30}


def _file(table: pa.Table, **options) -> bytes:
    out = BytesIO()
    parquet.write_table(table, out, **options)
    return out.getvalue()


def _refused(data: bytes) -> Problem:
    with pytest.raises(BadInput) as refused:
        PARQUET.read(BytesIO(data))
    (problem,) = refused.value.problems
    return problem


def test_a_page_that_is_too_large_is_refused_by_its_column():
    table = pa.table({"company_id": ["a"] * 40, "x": ["x" * _MIB] * 40})
    problem = _refused(_file(table, compression="zstd", **_ONE_PAGE))
    assert (problem.line, problem.field) == (0, "x")
    assert "a page of row group 1 takes 41 MiB" in problem.message


def _varint(number: int, size: int) -> bytes:
    """A number of Thrift's, in so many bytes."""
    zigzag = number << 1
    parts = [(zigzag >> 7 * at & 127) | 128 for at in range(size)]
    return bytes([*parts[:-1], parts[-1] & 127])


def test_a_page_that_promises_too_much_is_refused_whatever_the_footer_says():
    table = pa.table({"company_id": ["a" * 199] * 12_000})
    whole = _file(table, compression="none", **_ONE_PAGE)
    assert whole[4:7] == b"\x15\x00\x15"
    promised = whole[:7] + _varint(60 * _MIB, 4) + whole[11:]
    assert PARQUET.read(BytesIO(whole))
    problem = _refused(promised)
    assert problem.field == "company_id"
    assert "takes 63 MiB" in problem.message


def test_a_footer_that_is_too_large_is_refused():
    schema = pa.schema([("company_id", pa.string())], metadata={"x": "y" * 5 * _MIB})
    problem = _refused(_file(pa.table({"company_id": ["a"]}, schema=schema)))
    assert "the footer takes" in problem.message
    whole = _file(pa.table({"company_id": ["a"]}))
    longer = whole[:-8] + (2**31 - 1).to_bytes(4, "little") + b"PAR1"
    assert "footer would be larger" in _refused(longer).message


def test_an_encrypted_file_and_one_that_was_cut_off_are_told_apart():
    whole = _file(pa.table({"company_id": ["a"]}))
    assert "is encrypted" in _refused(whole[:-4] + b"PARE").message
    assert "may be cut off" in _refused(whole[:-20]).message


def test_columns_that_cannot_all_be_held_are_read_one_after_the_other():
    names = [f"x{n}" for n in range(3)]
    cells = {name: [f"{name}{row}" * 2_000 for row in range(1_500)] for name in names}
    table = pa.table({"company_id": [str(row) for row in range(1_500)], **cells})
    data = _file(table, compression="zstd", **_ONE_PAGE)
    rows = list(rows_of(PARQUET.read(BytesIO(data))))
    assert len(rows) == 1_500
    for row, read in enumerate(rows):
        assert isinstance(read, Record)
        assert read.company_id == str(row)
        assert all(read.text(name) == cells[name][row] for name in names)


def test_large_values_are_handed_on_a_few_at_a_time():
    table = pa.table({"company_id": ["a"] * 300, "x": ["x" * 100_000] * 300})
    sizes = [len(rows) for rows in PARQUET.read(BytesIO(_file(table))).blocks]
    assert sum(sizes) == 300
    assert max(sizes) <= 42
