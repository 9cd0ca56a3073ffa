"""A CSV of ours for spreadsheets is known again by its beginning, and no other is."""

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.exports.opened_files import write
from worker.exports.writers.formats import format_of
from worker.quotes.readers.own_files import own_delimiter, restored_cells
from worker.spreadsheets.csv_beginning import BYTE_ORDER_MARK

_FOR_EXCEL = {"excel": ",", "excel_eu": ";"}

_names = st.text(
    st.one_of(
        st.sampled_from(list("\"',;=#@ ab0")),
        st.characters(categories=["L", "N", "P", "S"]),
    ),
    min_size=1,
    max_size=8,
)
_headings = st.lists(_names, min_size=1, max_size=5, unique=True)
_cells = st.text(st.sampled_from(list("\"',;=#@+ \r\nab07é")), max_size=6)


@pytest.mark.parametrize("profile", _FOR_EXCEL)
@given(headings=_headings, data=st.data())
@settings(max_examples=50)
def test_what_we_wrote_is_known_and_comes_back_as_it_was(profile, headings, data):
    width = len(headings)
    rows = data.draw(st.lists(st.lists(_cells, min_size=width, max_size=width)))
    texts = frozenset(data.draw(st.sets(st.sampled_from(headings))))
    file = write(format_of("csv", profile, literals=texts), headings, rows)
    delimiter = own_delimiter(file)
    assert delimiter is not None
    assert delimiter == _FOR_EXCEL[profile] or width == 1
    lines = io.StringIO(file.decode("utf-8-sig"), newline="")
    found = csv.reader(lines, delimiter=delimiter, strict=True)
    assert [restored_cells(row) for row in found] == [headings, *rows]


@given(headings=_headings)
def test_what_was_written_for_machines_is_not_taken_for_it(headings):
    assert own_delimiter(write(format_of("csv"), headings)) is None


_ROWS = [["company_id", "note", "phone"], ["acme", "a;b", "'+32"], ["'@b", "c,d", "1"]]


@pytest.mark.parametrize(
    "quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]
)
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\r\n", "\n"])
def test_what_other_programs_write_with_a_mark_is_not_taken_for_it(
    quoting, delimiter, end
):
    text = io.StringIO(newline="")
    csv.writer(
        text, delimiter=delimiter, lineterminator=end, quoting=quoting
    ).writerows(_ROWS)
    assert own_delimiter(BYTE_ORDER_MARK + text.getvalue().encode()) is None


@pytest.mark.parametrize(
    "head",
    [
        b"",
        BYTE_ORDER_MARK,
        b'company_id,"phone"\r\n',
        BYTE_ORDER_MARK + b'company_id,"phone"\n',
        BYTE_ORDER_MARK + b'company_id, "phone"\r\n',
        BYTE_ORDER_MARK + b'"company_id","phone"\r\n',
        BYTE_ORDER_MARK + b'company_id,"phone"',
        BYTE_ORDER_MARK + b'=1,"phone"\r\n',
        BYTE_ORDER_MARK + b'\xff,"phone"\r\n',
        b"PK\x03\x04",
    ],
)
def test_a_beginning_that_is_nearly_ours_is_not_taken_for_it(head):
    assert own_delimiter(head) is None
