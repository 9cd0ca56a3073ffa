"""What we write, read by the libraries that people read it with, as the manual says."""

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa  # type: ignore[import-untyped]
import pytest
from pyarrow import csv as arrow_csv
from pyarrow import parquet

from tests.exports.opened_files import write
from worker.exports.export_options import TEXT_FIELDS
from worker.exports.writers.formats import WITH_NULLS, format_of
from worker.spreadsheets.cell_texts import restored

NAMES = ["company_id", "company_name", "note", "founded_at", "phone"]
ROWS = [
    ["0012", "#1 Corp", "NA", "2024-02-30", "+32475123456"],
    ["#13", "Zoë", "null", "2024-01-05", "0475123456"],
    ["1E5", "=1+1", "nan", "2024-01-05T10:00:00Z", ""],
    ["12345678901234567890", "a\nb", "1.50", "1", "'x"],
    ["#TRUE", "a,b;c", '"', "", "1-2"],
    ["true", "None", "", "12:30", "00"],
]

Read = Callable[[Path], Sequence[Sequence[Any]]]


def _pandas(name: str, **options: Any) -> Read:
    def read(path: Path) -> Sequence[Sequence[Any]]:
        pandas = pytest.importorskip("pandas")
        frame = getattr(pandas, f"read_{name}")(path, **options)
        assert list(frame) == NAMES
        rows: list[list[Any]] = frame.astype(object).values.tolist()
        return [[None if pandas.isna(cell) else cell for cell in row] for row in rows]

    return read


def _polars(name: str, **options: Any) -> Read:
    def read(path: Path) -> Sequence[Sequence[Any]]:
        polars = pytest.importorskip("polars")
        frame = getattr(polars, f"read_{name}")(path, **options)
        assert frame.columns == NAMES
        rows: Sequence[Sequence[Any]] = frame.rows()
        return rows

    return read


def _duckdb(call: str) -> Read:
    def read(path: Path) -> Sequence[Sequence[Any]]:
        duckdb = pytest.importorskip("duckdb")
        with duckdb.connect() as connection:
            found = connection.execute(f"FROM {call.format(path)}")
            assert [column[0] for column in found.description] == NAMES
            rows: Sequence[Sequence[Any]] = found.fetchall()
        return rows

    return read


def _csv_module(delimiter: str) -> Read:
    def read(path: Path) -> Sequence[Sequence[Any]]:
        with path.open(newline="", encoding="utf-8-sig") as file:
            names, *rows = csv.reader(file, delimiter=delimiter)
        assert names == NAMES
        return rows

    return read


def _json_module(path: Path) -> Sequence[Sequence[Any]]:
    rows = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert all(list(row) == NAMES for row in rows)
    return [list(row.values()) for row in rows]


def _arrow_csv(path: Path) -> Sequence[Sequence[Any]]:
    kinds = {name: pa.string() for name in NAMES}
    table = arrow_csv.read_csv(
        path,
        parse_options=arrow_csv.ParseOptions(newlines_in_values=True),
        convert_options=arrow_csv.ConvertOptions(column_types=kinds),
    )
    return _rows_of(table)


def _arrow_parquet(path: Path) -> Sequence[Sequence[Any]]:
    return _rows_of(parquet.read_table(path))


def _rows_of(table: Any) -> Sequence[Sequence[Any]]:
    assert table.column_names == NAMES
    return [list(row.values()) for row in table.to_pylist()]


def _openpyxl(path: Path) -> Sequence[Sequence[Any]]:
    book = openpyxl.load_workbook(path, read_only=True)
    names, *rows = book.worksheets[0].iter_rows(values_only=True)
    assert list(names) == NAMES
    return rows


_TYPED = ", ".join(f"{name}: 'VARCHAR'" for name in NAMES)
_DUCKDB_JSON = (
    "read_json('{}', format = 'newline_delimited', columns = {{" + _TYPED + "}})"
)
_AS_TEXTS = {"dtype": str, "keep_default_na": False}
_OF_JSON = {"lines": True, "dtype": False}
_OF_EXCEL = {**_AS_TEXTS, "engine": "calamine"}

READERS: dict[str, dict[str, Read]] = {
    "csv": {
        "csv": _csv_module(","),
        "pandas": _pandas("csv", **_AS_TEXTS),
        "polars": _polars("csv", infer_schema=False),
        "duckdb": _duckdb("read_csv('{}', all_varchar = true)"),
        "pyarrow": _arrow_csv,
    },
    "csv excel": {
        "csv": _csv_module(","),
        "pandas": _pandas("csv", **_AS_TEXTS),
        "polars": _polars("csv", infer_schema=False),
        "duckdb": _duckdb("read_csv('{}', all_varchar = true)"),
    },
    "csv excel_eu": {
        "csv": _csv_module(";"),
        "pandas": _pandas("csv", sep=";", **_AS_TEXTS),
        "polars": _polars("csv", separator=";", infer_schema=False),
        "duckdb": _duckdb("read_csv('{}', all_varchar = true)"),
    },
    "xlsx": {
        "openpyxl": _openpyxl,
        "pandas": _pandas("excel", **_OF_EXCEL),
        "pandas by openpyxl": _pandas("excel", **_OF_EXCEL | {"engine": "openpyxl"}),
        "polars": _polars("excel", engine="openpyxl", infer_schema_length=0),
    },
    "jsonl": {
        "json": _json_module,
        "pandas": _pandas("json", **_OF_JSON),
        "polars": _polars("ndjson"),
        "duckdb": _duckdb(_DUCKDB_JSON),
    },
    "parquet": {
        "pandas": _pandas("parquet"),
        "polars": _polars("parquet"),
        "duckdb": _duckdb("read_parquet('{}')"),
        "pyarrow": _arrow_parquet,
    },
}


@pytest.mark.parametrize(
    ("written", "reader", "nulls"),
    [
        (written, reader, nulls)
        for written, readers in READERS.items()
        for reader in readers
        for nulls in ([False, True] if written in WITH_NULLS else [False])
    ],
)
def test_every_value_is_the_text_that_it_was(written, reader, nulls, tmp_path):
    name, _, profile = written.partition(" ")
    format_ = format_of(
        name, profile or "machine", literals=frozenset(TEXT_FIELDS), nulls=nulls
    )
    path = tmp_path / f"file.{name}"
    path.write_bytes(write(format_, NAMES, ROWS))
    found = [list(row) for row in READERS[written][reader](path)]
    if profile:
        # What spreadsheets show otherwise than programs.
        found = [[cell and restored(cell) for cell in row] for row in found]
    if nulls:
        assert found == [[cell or None for cell in row] for row in ROWS]
    else:
        # Some take what is empty for nothing.
        assert [[cell or "" for cell in row] for row in found] == ROWS
