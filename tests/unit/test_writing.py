"""Writing CSV: what is written can be read again, whatever it holds."""

import csv
from io import BytesIO, StringIO

from hypothesis import given
from hypothesis import strategies as st

from worker.readers import delimited
from worker.records import Record
from worker.writers.delimited import Delimited

cells = st.text(
    st.one_of(
        st.sampled_from(list("\",;'\r\n\t ")),
        st.characters(exclude_categories=["Cs"]),
    )
)
widths = st.integers(1, 4)
tables = widths.flatmap(
    lambda width: st.lists(
        st.lists(cells, min_size=width, max_size=width), min_size=1, max_size=6
    )
)


def _parsed(data: bytes) -> list[list[str]]:
    return list(csv.reader(StringIO(data.decode(), newline=""), strict=True))


def test_lines_end_as_rfc_4180_has_it():
    assert Delimited().part([["a", "b"], ["c", "d"]]) == b"a,b\r\nc,d\r\n"


def test_only_what_needs_quotes_has_them():
    row = ["plain", "a,b", 'a "b"', "a\nb", "a\rb", "", "a b"]
    assert Delimited().part([row]) == (b'plain,"a,b","a ""b""","a\nb","a\rb",,a b\r\n')


def test_the_head_is_the_columns_without_a_byte_order_mark():
    assert Delimited().head(["company_id", "name"]) == b"company_id,name\r\n"


def test_text_is_utf8():
    assert Delimited().part([["Zoë", "東京"]]) == "Zoë,東京\r\n".encode()


def test_a_part_without_rows_is_empty():
    assert Delimited().part([]) == b""


def test_a_files_name_ends_with_csv():
    assert Delimited().extension == "csv"


@given(tables)
def test_what_is_written_reads_back_as_it_was(rows):
    assert _parsed(Delimited().part(rows)) == rows


@given(tables, tables)
def test_parts_follow_each_other_without_anything_between(first, second):
    joined = Delimited().part(first) + Delimited().part(second)
    assert joined == Delimited().part(first + second)


@given(st.lists(st.tuples(cells, cells), max_size=6))
def test_an_exported_file_can_be_handed_in_again(notes):
    writer = Delimited()
    kept = [(note.replace("\0", ""), other.replace("\0", "")) for note, other in notes]
    data = writer.head(["company_id", "note", "other"]) + writer.part(
        ["acme", *pair] for pair in kept
    )
    rows = list(delimited.read(BytesIO(data)).rows)
    assert rows == [
        Record(number, {"company_id": "acme", "note": note, "other": other})
        for number, (note, other) in enumerate(kept, start=1)
    ]
