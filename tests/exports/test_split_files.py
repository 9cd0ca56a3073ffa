"""Large exports: further sheets before Excel's limit, or numbered files in a ZIP."""

import hashlib
import io
import zipfile
from contextlib import suppress
from functools import partial

import pytest
from pyarrow import parquet  # type: ignore[import-untyped]

from tests.exports.opened_files import WRITERS, sheets
from tests.exports.opened_files import write as write_file
from worker.exports.writers import xlsx
from worker.exports.writers.numbered_files import Numbered, open_numbered

ROWS = [[f"row {number}"] for number in range(7)]


def _sheets(rows: list[list[str]], rows_max: int) -> list[int]:
    """How many records are on each waterfall."""
    target = io.BytesIO()
    with xlsx.open_workbook(target, ["a"], sheet_rows_max=rows_max) as writer:
        writer.add(rows)
    tables = sheets(target.getvalue())
    assert all(headings == ["a"] for headings, _ in tables)
    assert [row for _, found in tables for row in found] == rows
    return [len(found) for _, found in tables]


def test_a_sheet_ends_before_excels_limit_and_the_next_has_all_headings():
    assert _sheets(ROWS, 4) == [3, 3, 1]
    assert _sheets(ROWS[:6], 4) == [3, 3]
    assert _sheets(ROWS[:3], 4) == [3]


def test_the_limits_are_excels():
    assert xlsx.SHEET_ROWS_MAX == 1_048_576
    format_, _ = WRITERS["xlsx"]
    assert format_.columns_max == 16_384
    assert format_.cell_units_max == 32_767


def _split(name: str, *parts: list[list[str]], size: int) -> tuple[bytes, Numbered]:
    target = io.BytesIO()
    with open_numbered(target, ["a"], WRITERS[name][0], size) as numbered:
        for part in parts:
            numbered.add(part)
    return target.getvalue(), numbered


@pytest.mark.parametrize("name", WRITERS)
def test_each_numbered_file_is_whole_and_told_of(name):
    format_, read = WRITERS[name]
    data, numbered = _split(name, ROWS[:2], ROWS[2:], size=3)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        files = {entry: archive.read(entry) for entry in archive.namelist()}
    assert list(files) == [f"records-000{n}.{format_.extension}" for n in (1, 2, 3)]
    assert [read(file) for file in files.values()] == [
        (["a"], ROWS[:3]),
        (["a"], ROWS[3:6]),
        (["a"], ROWS[6:]),
    ]
    assert [member.records for member in numbered.members] == [3, 3, 1]
    for member, (entry, file) in zip(numbered.members, files.items(), strict=True):
        assert member.name == entry
        assert member.bytes == len(file)
        assert member.sha256 == hashlib.sha256(file).hexdigest()


@pytest.mark.parametrize("name", WRITERS)
def test_a_zip_is_the_same_bytes_however_its_rows_were_cut(name):
    once, _ = _split(name, ROWS, size=2)
    assert _split(name, ROWS[:1], ROWS[1:5], [], ROWS[5:], size=2)[0] == once


def test_a_file_that_is_just_full_has_no_empty_one_after_it():
    _, numbered = _split("csv", ROWS[:6], size=3)
    assert [member.records for member in numbered.members] == [3, 3]


def test_without_rows_there_is_one_file_with_the_headings():
    data, numbered = _split("csv", size=3)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.read("records-0001.csv") == b"a\r\n"
    assert [member.records for member in numbered.members] == [0]


@pytest.mark.parametrize("name", WRITERS)
def test_whoever_gives_up_in_the_middle_leaves_no_zip(name):
    target = io.BytesIO()
    with (
        suppress(ZeroDivisionError),
        open_numbered(target, ["a"], WRITERS[name][0], 2) as numbered,
    ):
        numbered.add(ROWS)
        raise ZeroDivisionError
    assert not zipfile.is_zipfile(target)


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_is_told_from_within_a_zip(name):
    class Full(io.BytesIO):
        def write(self, _: object) -> int:
            raise OSError(28, "No space left on device")

    write = partial(open_numbered, Full(), ["a"], WRITERS[name][0], 2)
    told = partial(pytest.raises, OSError, match="No space left")
    # At once, not after the last of a million rows; and at the end again.
    with told(), write() as numbered, told():
        numbered.add(ROWS)


@pytest.mark.parametrize(
    ("rows", "groups"),
    [
        ([["x"]] * 25_000, [10_000, 10_000, 5_000]),
        ([["x" * (10 << 20)]] * 9, [4, 4, 1]),
        ([["x"] * 10_000] * 130, [66, 64]),
    ],
    ids=["many rows", "long cells", "many columns"],
)
def test_parquet_holds_few_rows_at_a_time_and_fewer_where_they_are_large(rows, groups):
    headings = [f"column {place}" for place in range(len(rows[0]))]
    data = write_file(WRITERS["parquet"][0], headings, rows)
    found = parquet.ParquetFile(io.BytesIO(data)).metadata
    counts = [found.row_group(n).num_rows for n in range(found.num_row_groups)]
    assert counts == groups
