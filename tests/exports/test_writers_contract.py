"""What every writer promises, whatever the format: the same suite over all of them."""

import io
import os
import tempfile
import zipfile
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.exports.opened_files import WRITERS, cells, decoded, write
from tests.support.read_rows import rows_of
from worker.exports.writers.formats import FORMATS, PROFILES
from worker.exports.writers.writer import Format
from worker.quotes.readers.formats import BY_SUFFIX
from worker.quotes.readers.records import Record
from worker.spreadsheets.cell_texts import as_text

EXCEL_CELL = 32_767

each_writer = pytest.mark.parametrize("name", WRITERS)
each_read_back = pytest.mark.parametrize("name", ["csv", "jsonl", "parquet"])

NASTY = [
    "",
    " ",
    "  both ends  ",
    "\ttab",
    "a\rb",
    "a\nb",
    "a\r\nb",
    "\n",
    'say "no"',
    "a,b;c|d",
    "0012",
    "BE0123456789",
    "+32 2 555 12 12",
    "+1-555-0100",
    "1e5",
    "3.20",
    "00",
    "true",
    "2024-02-30",
    "31/02/2024",
    "12345678901234567890",
    "NaN",
    "null",
    "=1+1",
    "@SUM(A1)",
    "https://example.com/?a=1&b=2",
    "mailto:ada@example.com",
    "<b>&amp;</b>",
    "<r>x</r>",
    "<r><t>x</t></r>",
    "]]>",
    "_x000D_",
    "_x0041_ and _x005F_",
    "\x01\x02\x08\x0b\x0c\x0e\x1f",
    "\x7f\x80\x85\x9f",
    "\u2028\u2029\u00a0\u200b\ufeff",
    "\u202eright to left\u202c",
    "שלום عالم",
    "e\u0301 and é",
    "👩‍👩‍👧‍👦" * 20,
    "東京都",
    "'",
    "\\N",
    "x" * EXCEL_CELL,
    "😀" * (EXCEL_CELL // 2),
]

texts = st.text(
    st.one_of(
        st.sampled_from(list("\",;'\r\n\t =+-@<>&_x0")),
        st.characters(exclude_categories=["Cs"], exclude_characters="\0\ufffe\uffff"),
    ),
    max_size=20,
)
widths = st.integers(1, 4)
tables = widths.flatmap(
    lambda width: st.lists(
        st.lists(texts, min_size=width, max_size=width), min_size=1, max_size=6
    )
)


def _headings(width: int) -> list[str]:
    return [f"column {place}" for place in range(width)]


def _expected(name: str, row: list[str]) -> list[str]:
    if name == "xlsx":
        # As Excel itself ends lines in a cell.
        return [cell.replace("\r\n", "\n").replace("\r", "\n") for cell in row]
    return [as_text(cell) for cell in row] if " excel" in name else row


def test_every_format_and_profile_is_looked_at():
    assert {format_.name for format_, _ in WRITERS.values()} == set(FORMATS)
    profiles = {
        name.partition(" ")[2] or "machine" for name in WRITERS if "csv" in name
    }
    assert profiles == set(PROFILES)


@each_writer
@pytest.mark.parametrize("value", NASTY, ids=lambda value: ascii(value)[:30])
def test_a_value_is_read_by_others_as_it_was_written(name, value):
    format_, read = WRITERS[name]
    row = ["first", value, "last"]
    assert format_.refusal(row) is None
    headings, rows = read(write(format_, _headings(3), [row, row]))
    assert headings == _headings(3)
    assert rows == [_expected(name, row)] * 2


@each_writer
@given(rows=tables)
@settings(max_examples=60)
def test_what_is_not_refused_is_read_by_others_as_it_was_written(name, rows):
    format_, read = WRITERS[name]
    kept = [row for row in rows if format_.refusal(row) is None]
    _, found = read(write(format_, _headings(len(rows[0])), kept))
    assert found == [_expected(name, row) for row in kept]


@each_read_back
@given(notes=st.lists(st.tuples(texts, texts), min_size=1, max_size=6))
def test_an_exported_file_can_be_handed_in_again(name, notes):
    names = ["company_id", "note", "other"]
    data = write(WRITERS[name][0], names, (["acme", *pair] for pair in notes))
    rows = list(rows_of(BY_SUFFIX[f".{name}"].read(io.BytesIO(data))))
    assert rows == [
        Record(number, {"company_id": "acme", "note": note, "other": other})
        for number, (note, other) in enumerate(notes, start=1)
    ]


@each_writer
@given(rows=tables, cut=st.integers(0, 6))
@settings(max_examples=30)
def test_the_same_rows_are_the_same_bytes_however_they_were_cut(name, rows, cut):
    format_, headings = WRITERS[name][0], _headings(len(rows[0]))
    rows = [row for row in rows if format_.refusal(row) is None]
    once = write(format_, headings, rows)
    assert write(format_, headings, [], iter(rows[:cut]), rows[cut:]) == once


@each_writer
def test_the_same_rows_are_the_same_bytes_in_another_time_zone(name, monkeypatch):
    format_ = WRITERS[name][0]
    once = write(format_, ["a"], [["b"]])
    monkeypatch.setenv("TZ", "Pacific/Honolulu")
    assert write(format_, ["a"], [["b"]]) == once


@each_writer
def test_a_file_without_rows_is_a_whole_file(name):
    format_, read = WRITERS[name]
    headings, rows = read(write(format_, ["company_id", "Zoë"]))
    # JSON Lines name the columns in each row, and there is none.
    assert headings == ([] if name == "jsonl" else ["company_id", "Zoë"])
    assert rows == []


@each_writer
def test_a_row_of_empty_cells_is_a_row(name):
    format_, read = WRITERS[name]
    _, rows = read(write(format_, ["a", "b"], [["", ""], ["", "x"], ["", ""]]))
    assert rows == [["", ""], ["", "x"], ["", ""]]


@each_writer
def test_a_thousand_columns_are_written(name):
    format_, read = WRITERS[name]
    row = [f"cell {place}" for place in range(1_000)]
    assert read(write(format_, _headings(1_000), [row] * 3))[1] == [row] * 3


@each_writer
@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("a\0b", "contains a NUL character"),
        ("\ud800", "is not valid Unicode"),
        ("\udc00 alone", "is not valid Unicode"),
    ],
)
def test_what_no_file_can_hold_is_refused_with_its_place(name, value, message):
    assert WRITERS[name][0].refusal(["fine", value]) == (1, message)


@each_writer
@pytest.mark.parametrize("value", ["x" * (10 << 20), "é" * (5 << 20)])
def test_a_cell_of_ten_megabytes_is_whole_or_refused(name, value):
    format_, read = WRITERS[name]
    refused = format_.refusal(["fine", value])
    if name == "xlsx":
        length = f"{len(value):,}"
        message = f"is {length} characters long; a cell of xlsx holds 32,767"
        assert refused == (1, message)
        return
    assert refused is None
    _, rows = read(write(format_, ["a", "b"], [["fine", value]]))
    assert rows == [["fine", value]]


@pytest.mark.parametrize(
    "value",
    [
        "x" * (EXCEL_CELL + 1),
        # Excel counts this face twice.
        "😀" * (EXCEL_CELL // 2 + 1),
        "é" * (EXCEL_CELL + 1),
        # What XlsxWriter would write as something else.
        "_x005F_x000D_",
        "_x0041_x0042_",
        "<r>_x000D_</r>",
        "<r>\r</r>",
        "\ufffe",
        "a\uffff",
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_excel_is_given_no_cell_that_it_would_cut_or_change(value):
    refused = WRITERS["xlsx"][0].refusal(["fine", value])
    assert refused is not None
    assert refused[0] == 1


def test_a_full_width_of_columns_fits_on_a_sheet():
    format_, read = WRITERS["xlsx"]
    assert format_.columns_max == 16_384
    headings = _headings(16_384)
    assert read(write(format_, headings, [headings]))[1] == [headings]


class _Full:
    """A target that has room for so many bytes."""

    def __init__(self, room: int) -> None:
        self._room = room

    def write(self, data: bytes) -> None:
        self._room -= len(data)
        if self._room < 0:
            raise OSError(28, "No space left on device")


@each_writer
@pytest.mark.parametrize("room", [0, 100, 2_000])
def test_a_target_without_room_is_told_and_nothing_is_left(
    name, room, tmp_path, monkeypatch
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    rows = [[os.urandom(500).hex()] for _ in range(20)]
    with (
        pytest.raises(OSError, match="No space left"),
        WRITERS[name][0].open(_Full(room), ["a"]) as writer,
    ):
        writer.add(rows)
    assert list(tmp_path.iterdir()) == []


@each_writer
def test_whoever_gives_up_leaves_nothing_behind(name, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with (
        suppress(ZeroDivisionError),
        WRITERS[name][0].open(io.BytesIO(), ["a"]) as writer,
    ):
        writer.add([["b"]])
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_openpyxl_reads_the_same_from_a_workbook_as_calamine():
    data = write(WRITERS["xlsx"][0], ["value"], ([value] for value in NASTY))
    found = [decoded(cell.value) for cell in cells(data)]
    assert found == ["value", *_expected("xlsx", NASTY)]


def test_lines_in_a_cell_of_a_workbook_end_as_excel_types_them():
    note = "Street 1\r\nCity\rCountry\nEnd\r\n\r"
    data = write(WRITERS["xlsx"][0], ["a\r\nb"], [[note], ["<r>\n</r>"]])
    # As it stands there: openpyxl and others show an escape for what it is made of.
    assert [cell.value for cell in cells(data)] == [
        "a\nb",
        "Street 1\nCity\nCountry\nEnd\n\n",
        "<r>\n</r>",
    ]


@pytest.mark.parametrize("name", ["csv", "csv excel", "csv excel_eu"])
def test_a_line_that_begins_like_a_comment_begins_quoted(name):
    format_, read = WRITERS[name]
    rows = [["#1 Corp", "#2"], ["a", "#3"], ['#"x"', ""], ["#", "c,d;e"]]
    data = write(format_, ["#company", "note"], rows)
    assert read(data) == (["#company", "note"], rows)
    lines = data.decode().removeprefix("\ufeff").splitlines()
    assert [line[:2] for line in lines if "#" in line[:2]] == ['"#'] * 4
    alone = write(format_, ["#"], [["#1"], ["a"], ["#2"]])
    assert read(alone) == (["#"], [["#1"], ["a"], ["#2"]])


def test_nothing_in_a_workbook_says_when_or_where_it_was_made():
    data = write(WRITERS["xlsx"][0], ["a"], [["b"]])
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert {entry.date_time[0] for entry in archive.infolist()} == {1980}
        core = archive.read("docProps/core.xml").decode()
    assert core.count("1980-01-01T00:00:00Z") == 2
    assert "<dc:creator></dc:creator>" in core


@pytest.mark.parametrize("format_", [format_ for format_, _ in WRITERS.values()])
def test_a_files_name_ends_as_its_format(format_: Format):
    assert format_.extension == format_.name
