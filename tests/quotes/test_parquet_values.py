"""What each type of Parquet becomes: the table of docs/formats.md, row by row."""

import datetime as dt
import uuid
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa  # type: ignore[import-untyped]
import pytest
from pyarrow import parquet

from tests.support.read_rows import rows_of
from worker.infrastructure.errors import BadInput, Problem
from worker.quotes.readers.formats import PARQUET
from worker.quotes.readers.records import Record

ROOT = Path(__file__).parents[2]
WRITTEN_ELSEWHERE = ROOT / "tests" / "data" / "parquet"

A_UUID = uuid.UUID("18e7cb32-be7f-42fc-9aee-eae730d4ff27")
_S, _MS, _US, _NS = (pa.timestamp(unit) for unit in ("s", "ms", "us", "ns"))
_NO_ID = "may have lost digits"
_NO_NUMBER = "is a number that is none"
_NO_DAY = "is a day outside of the years 1 to 9999"


class Case(NamedTuple):
    """A value of a type: its text, or what the problem with it says.

    `as_id` looks at it as a company's id, `refused` at the column as a whole.
    """

    values: pa.Array
    text: str | None
    problem: str = ""
    as_id: bool = False
    refused: bool = False
    marked: bool = True
    int96: bool = False


def _of(value: object, kind: object, text: str, **more) -> Case:
    return Case(pa.array([value], kind), text, **more)


def _bad(value: object, kind: object, problem: str, **more) -> Case:
    return Case(pa.array([value], kind), None, problem, **more)


def _raw(count: int, stored: pa.DataType, kind: object, text: str | None, problem=""):
    """A value that Python has no object for."""
    return Case(pa.array([count], stored).cast(kind), text, problem)


def _extension(name: str, values: pa.Array) -> pa.Array:
    """A column of a type that nobody here knows; see `_file`."""
    return pa.ExtensionArray.from_storage(_Unknown(values.type, name), values)


class _Unknown(pa.ExtensionType):  # type: ignore[misc]
    def __init__(self, storage, name):
        super().__init__(storage, name)

    def __arrow_ext_serialize__(self) -> bytes:
        return b""

    @classmethod
    def __arrow_ext_deserialize__(cls, storage, serialized):
        return cls(storage, "unknown")


_INTS = [(pa.int8(), 7), (pa.int16(), 15), (pa.int32(), 31), (pa.int64(), 63)]
_UINTS = [(pa.uint8(), 8), (pa.uint16(), 16), (pa.uint32(), 32), (pa.uint64(), 64)]
_DECIMALS = [pa.decimal32(9, 2), pa.decimal64(18, 2), pa.decimal128(38, 2)]
_NOON = dt.datetime(2020, 1, 31, 13, 45)  # noqa: DTZ001 - of no zone
_AWARE = dt.datetime(2020, 1, 31, 12, 45, tzinfo=dt.UTC)
_SPLIT = dt.timedelta(days=1, hours=2, milliseconds=500)
_LAST_S = 253_402_300_799

TABLE: dict[str, list[Case]] = {
    "text (also large, view, ENUM, JSON)": [
        *(_of("Zoë", kind, "Zoë") for kind in (pa.string(), pa.large_string())),
        _of(
            "Zoë, of more than twelve bytes",
            pa.string_view(),
            "Zoë, of more than twelve bytes",
        ),
        _of(None, pa.string_view(), ""),
        _of('{"a": 1.50}', pa.json_(), '{"a": 1.50}'),
    ],
    "dictionary, category": [
        _of("BE", pa.dictionary(pa.int32(), pa.string()), "BE"),
        _of(None, pa.dictionary(pa.int8(), pa.string()), ""),
        _of("007", pa.dictionary(pa.uint16(), pa.large_string()), "007"),
    ],
    "booleans (also `bool8`)": [
        Case(pa.array([True]), "true"),
        Case(pa.array([False]), "false"),
        _of(1, pa.bool8(), "true"),
        _of(0, pa.bool8(), "false"),
        _of(None, pa.bool8(), ""),
    ],
    "integers, 8 to 64 bits, with or without a sign": [
        _of(2**64 - 1, pa.uint64(), str(2**64 - 1)),
        *(_of(2**bits - 1, kind, str(2**bits - 1)) for kind, bits in _INTS + _UINTS),
        *(_of(-(2**bits), kind, str(-(2**bits))) for kind, bits in _INTS),
        _of(2**53 + 1, pa.int64(), str(2**53 + 1), as_id=True),
    ],
    "floats, 16 to 64 bits": [
        _of(1001.0, pa.float64(), "1001"),
        _of(1001.0, pa.float32(), "1001"),
        _of(1001.0, pa.float16(), "1001"),
        _of(-0.0, pa.float64(), "0"),
        _of(1e15, pa.float64(), "1000000000000000"),
        _of(51234567899.0, pa.float64(), "51234567899"),
        _of(0.1, pa.float64(), "0.1"),
        _of(0.1, pa.float32(), "0.1"),
        _of(1e-7, pa.float64(), "0.0000001"),
        _of(12345678901.5, pa.float64(), "12345678901.5"),
        _of(1e23, pa.float64(), "1" + "0" * 23),
        _of(None, pa.float64(), ""),
        *(_bad(float(one), pa.float64(), _NO_NUMBER) for one in ("nan", "inf", "-inf")),
        _bad(float("nan"), pa.float16(), _NO_NUMBER),
    ],
    "floats as ids": [
        _of(2.0**53 - 1, pa.float64(), str(2**53 - 1), as_id=True),
        _bad(2.0**53, pa.float64(), _NO_ID, as_id=True),
        _of(2.0**24 - 1, pa.float32(), str(2**24 - 1), as_id=True),
        _bad(-(2.0**24), pa.float32(), _NO_ID, as_id=True),
        _of(2.0**24, pa.float32(), str(2**24)),
        _of(2047.0, pa.float16(), "2047", as_id=True),
        _bad(2048.0, pa.float16(), _NO_ID, as_id=True),
        _bad(float("nan"), pa.float64(), _NO_NUMBER, as_id=True),
    ],
    "decimals, to 256 bits": [
        *(_of(Decimal("1.20"), kind, "1.20") for kind in _DECIMALS),
        _of(Decimal("1.20"), pa.decimal256(76, 2), "1.20"),
        _of(Decimal("1E-20"), pa.decimal128(38, 20), "0.00000000000000000001"),
        _of(Decimal(0), pa.decimal128(38, 20), "0.00000000000000000000"),
        _of(Decimal("9" * 38), pa.decimal128(38, 0), "9" * 38),
    ],
    "dates": [
        _of(dt.date(2020, 1, 31), pa.date32(), "2020-01-31"),
        _of(dt.date(2020, 1, 31), pa.date64(), "2020-01-31"),
        _of(dt.date(1, 1, 1), pa.date32(), "0001-01-01"),
        _of(dt.date(9999, 12, 31), pa.date32(), "9999-12-31"),
        _raw(2_932_897, pa.int32(), pa.date32(), None, _NO_DAY),
        _raw(-719_163, pa.int32(), pa.date32(), None, _NO_DAY),
    ],
    "times": [
        _of(dt.time(13, 45, 0, 500_000), pa.time64("us"), "13:45:00.5"),
        _of(dt.time(13, 45), pa.time32("s"), "13:45:00"),
        _of(dt.time(13, 45), pa.time32("ms"), "13:45:00"),
        _raw(1, pa.int64(), pa.time64("ns"), "00:00:00.000000001"),
        _raw(86_400_000, pa.int32(), pa.time32("ms"), None, "is no time of a day"),
        _raw(-1, pa.int64(), pa.time64("us"), None, "is no time of a day"),
    ],
    "instants with a zone": [
        _of(_AWARE, pa.timestamp(unit, zone), "2020-01-31T12:45:00Z")
        for unit in ("s", "ms", "us", "ns")
        for zone in ("Europe/Brussels", "UTC", "-02:00")
    ],
    "instants without a zone": [
        _of(_NOON.replace(microsecond=1), _US, "2020-01-31T13:45:00.000001"),
        *(_of(_NOON, kind, "2020-01-31T13:45:00") for kind in (_S, _MS, _US, _NS)),
        _raw(1, pa.int64(), _NS, "1970-01-01T00:00:00.000000001"),
        _raw(-1, pa.int64(), _MS, "1969-12-31T23:59:59.999"),
        _raw(_LAST_S * 1000, pa.int64(), _MS, "9999-12-31T23:59:59"),
        _raw(_LAST_S * 1000 + 1000, pa.int64(), _MS, None, _NO_DAY),
        _raw(2**62, pa.int64(), _US, None, _NO_DAY),
    ],
    "instants of 96 bits (Impala, old Spark)": [
        _of(dt.datetime(9999, 12, 31), _US, "9999-12-31T00:00:00", int96=True),  # noqa: DTZ001 - of no zone
        _of(_NOON, _NS, "2020-01-31T13:45:00", int96=True),
    ],
    "durations": [
        _of(_SPLIT, pa.duration("ms"), "P1DT2H0.5S"),
        _of(_SPLIT, pa.duration("us"), "P1DT2H0.5S"),
        _of(dt.timedelta(days=1), pa.duration("s"), "P1D"),
        _of(dt.timedelta(0), pa.duration("ns"), "PT0S"),
        _of(-dt.timedelta(minutes=90), pa.duration("s"), "-PT1H30M"),
        _of(None, pa.duration("s"), ""),
    ],
    "UUID": [_of(A_UUID.bytes, pa.uuid(), str(A_UUID)), _of(None, pa.uuid(), "")],
    "null": [Case(pa.nulls(1), ""), _of(None, pa.int64(), "")],
    "bytes, where no column of the file is marked as text (Impala, old Spark)": [
        _of(b"acme", pa.binary(), "acme", as_id=True, marked=False),
        _of("Zoë".encode(), pa.binary(), "Zoë", as_id=True, marked=False),
        _bad(b"br\xffo", pa.binary(), "bytes", as_id=True, marked=False),
        _bad(b"\x01\x02", pa.binary(), "bytes", as_id=True, marked=False),
    ],
    "other bytes, fixed or not": [
        _bad(b"raw", kind, "holds", refused=True)
        for kind in (pa.binary(), pa.large_binary(), pa.binary_view(), pa.binary(3))
    ],
    "lists, structs, maps, intervals, unknown extension types": [
        _bad([1], pa.list_(pa.int8()), "holds list", refused=True),
        _bad([1, 2], pa.list_(pa.int8(), 2), "holds fixed_size_list", refused=True),
        _bad({"a": 1}, pa.struct({"a": pa.int8()}), "holds struct", refused=True),
        _bad([("a", 1)], pa.map_(pa.string(), pa.int8()), "holds map", refused=True),
        Case(_extension("a.period", pa.array([1])), None, "holds", refused=True),
        Case(_extension("a.word", pa.array(["x"])), "x"),
    ],
}


def _file(case: Case) -> BytesIO:
    columns = {"company_id": case.values} if case.as_id else {"x": case.values}
    if not case.as_id:
        columns = {"company_id": pa.array(["a"]), **columns}
    out = BytesIO()
    parquet.write_table(
        pa.table(columns),
        out,
        store_schema=case.marked,
        use_deprecated_int96_timestamps=case.int96,
    )
    return out


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=f"{row.partition(' ')[0]}-{case.values.type}")
        for row, cases in TABLE.items()
        for case in cases
    ],
)
def test_each_type_becomes_its_exact_text_or_a_problem(case):
    field = "company_id" if case.as_id else "x"
    if case.refused:
        with pytest.raises(BadInput) as refused:
            PARQUET.read(_file(case))
        (problem,) = refused.value.problems
        assert (problem.line, problem.field) == (0, field)
        assert case.problem in problem.message
        return
    (row,) = rows_of(PARQUET.read(_file(case)))
    if case.text is not None:
        assert isinstance(row, Record), row
        assert row.text(field) == case.text
        return
    assert isinstance(row, list), row
    assert [(problem.line, problem.field) for problem in row] == [(1, field)]
    assert case.problem in row[0].message


def test_the_documented_table_is_the_one_that_is_walked():
    text = (ROOT / "docs" / "formats.md").read_text()
    table = text.partition("| Column | Text | For example |\n")[2].partition("\n\n")[0]
    lines = [line.strip("|").split(" | ") for line in table.splitlines()[1:]]
    shown = {line[0].strip(): line[-1].strip(" |`") for line in lines}
    assert list(shown) == list(TABLE)
    for name, example in shown.items():
        assert example == (TABLE[name][0].text or ""), name


def test_rows_with_a_cell_that_is_no_value_are_left_out_and_the_others_are_whole():
    table = {
        "company_id": ["a", "b", "c"],
        "x": [1.0, float("nan"), 2.0],
        "person_id": pa.array([None, 1.0, 2.0**60]),
    }
    out = BytesIO()
    parquet.write_table(pa.table(table), out)
    first, second, third = rows_of(PARQUET.read(out))
    assert first == Record(1, {"company_id": "a", "x": "1"})
    assert isinstance(second, list)
    assert [(one.line, one.field) for one in second] == [(2, "x")]
    assert isinstance(third, list)
    assert [(one.line, one.field) for one in third] == [(3, "person_id")]


def _read(name: str) -> list[Record | list[Problem]]:
    with (WRITTEN_ELSEWHERE / name).open("rb") as stream:
        return list(rows_of(PARQUET.read(stream)))


def _fields(name: str) -> list[dict[str, str]]:
    return [row.fields for row in _read(name) if isinstance(row, Record)]


def test_ids_that_a_hole_made_floats_keep_their_digits():
    assert _fields("pandas_holes.parquet") == [
        {"company_id": "1002"},
        {"company_id": "1003", "person_id": "1234567890123456"},
    ]
    (lost,) = [row for row in _read("pandas_holes.parquet") if isinstance(row, list)]
    assert (lost[0].line, lost[0].field) == (1, "person_id")
    assert _NO_ID in lost[0].message


def test_the_index_of_pandas_is_left_out_and_told():
    with (WRITTEN_ELSEWHERE / "pandas_index.parquet").open("rb") as stream:
        reading = PARQUET.read(stream)
        rows = [row.fields for row in rows_of(reading) if isinstance(row, Record)]
    assert tuple(reading.columns) == ("company_id", "person_id", "n")
    assert reading.noticed is not None
    assert reading.noticed.left_out == ["__index_level_0__"]
    assert rows[0] == {"company_id": "1001", "person_id": str(2**53 + 1), "n": "a"}


def test_uuids_of_duckdb_are_their_usual_text():
    first = _fields("duckdb_uuid.parquet")[0]
    assert str(uuid.UUID(first["company_id"])) == first["company_id"]
    assert str(uuid.UUID(first["person_id"])) == first["person_id"]


def test_what_polars_writes_is_read_by_the_same_table():
    wrong, good = _read("polars_types.parquet")
    empty = dict.fromkeys(("dec", "d", "ts", "dur", "nan", "t", "u8"), "")
    assert good == Record(2, {"company_id": "c2", "cat": "b", **empty})
    assert isinstance(wrong, list)
    assert [(one.line, one.field) for one in wrong] == [(1, "nan")]
