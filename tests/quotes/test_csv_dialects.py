"""CSV as people have it: encodings, delimiters and what spreadsheets leave in it."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.read_rows import rows_of
from worker.infrastructure.errors import BadInput, Problem
from worker.quotes.readers.files.declarations import declared
from worker.quotes.readers.formats import CSV, JSON_LINES
from worker.quotes.readers.records import Record
from worker.quotes.readers.table import UNTOLD, Noticed, ReadOptions

TEXT = "company_id,company_name\nc1,Société Générale\nc2,Müller & Söhne…\n"
RECORDS = [
    {"company_id": "c1", "company_name": "Société Générale"},
    {"company_id": "c2", "company_name": "Müller & Söhne…"},
]


def _read(
    data: bytes | str, options: ReadOptions = UNTOLD
) -> tuple[list[dict[str, str]], list[Problem], Noticed]:
    """The records' fields, the problems, and what was noticed."""
    data = data.encode() if isinstance(data, str) else data
    reading = CSV.read(io.BytesIO(data), options=options)
    rows = list(rows_of(reading))
    assert reading.noticed is not None
    return (
        [row.fields for row in rows if isinstance(row, Record)],
        [problem for row in rows if isinstance(row, list) for problem in row],
        reading.noticed,
    )


def _refused(data: bytes | str, options: ReadOptions = UNTOLD) -> Problem:
    with pytest.raises(BadInput) as refused:
        _read(data, options)
    (problem,) = refused.value.problems
    return problem


@pytest.mark.parametrize(
    ("encoding", "codec"),
    [
        ("utf-8", "utf-8"),
        ("utf-8", "utf-8-sig"),
        ("utf-16", "utf-16"),
        ("utf-16-le", "utf-16-le"),
        ("utf-16-be", "utf-16-be"),
        ("windows-1252", "cp1252"),
    ],
)
def test_an_encoding_is_recognised_and_told(encoding, codec):
    records, problems, noticed = _read(TEXT.encode(codec))
    assert (records, problems) == (RECORDS, [])
    assert noticed.encoding == encoding


@pytest.mark.parametrize("word", ["Łódź", "Wałęsa", "Żółć", "Paweł"])
def test_a_word_of_another_code_page_is_not_read_as_windows_1252(word):
    data = f"company_id,company_name\nc1,{word}\n".encode("cp1250")
    problem = _refused(data)
    assert problem.field == "encoding"
    assert "windows-1250" in problem.message
    records, _, noticed = _read(data, ReadOptions(encoding="windows-1250"))
    assert records == [{"company_id": "c1", "company_name": word}]
    assert noticed.encoding == "windows-1250"


def test_cyrillic_is_not_read_as_windows_1252():
    data = "company_id,company_name\nc1,Иванов\n".encode("cp1251")
    assert _refused(data).field == "encoding"


def test_a_declared_encoding_holds_and_one_that_cannot_be_is_refused():
    euro = "company_id,company_name\nc1,10 €\n".encode("iso-8859-15")
    records, _, noticed = _read(euro, ReadOptions(encoding="latin9"))
    assert records[0]["company_name"] == "10 €"
    assert noticed.encoding == "iso-8859-15"
    for encoding in ("klingon", "rot13", "utf-7"):
        assert "is not read" in _refused(TEXT, ReadOptions(encoding=encoding)).message
    odd = TEXT.encode("utf-16")[:-1]
    assert "not valid utf-16" in _refused(odd).message


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_a_delimiter_is_recognised_and_told(delimiter):
    data = 'company_id,company_name\r\nc1,"a;b,c|d\te"\r\n'
    head, row = data.splitlines()
    data = f"{head.replace(',', delimiter)}\r\nc1{delimiter}{row[3:]}\r\n"
    records, problems, noticed = _read(data)
    assert records == [{"company_id": "c1", "company_name": "a;b,c|d\te"}]
    assert (problems, noticed.delimiter) == ([], delimiter)


def test_a_first_line_says_the_delimiter():
    records, _, noticed = _read("sep=;\r\ncompany_id;x\r\nc1;1,5\r\n")
    assert records == [{"company_id": "c1", "x": "1,5"}]
    assert noticed.delimiter == ";"
    _, problems, _ = _read('"sep=,"\ncompany_id,x\n,1\n')
    assert problems == [Problem(3, "company_id", "is empty")]


def test_of_two_delimiters_that_makes_a_known_column_counts():
    records, _, noticed = _read("company_id,size;unit\nc1,5;kg\n")
    assert records == [{"company_id": "c1", "size;unit": "5;kg"}]
    assert noticed.delimiter == ","


def test_of_two_delimiters_that_makes_rows_even_counts():
    options = ReadOptions()
    with pytest.raises(BadInput) as refused:
        _read("id;name, full\n1;a\n2;b\n3;c\n", options)
    # It was read with semicolons: only the column is missing.
    assert "id, name, full" in str(refused.value)


def test_where_two_delimiters_fit_nobody_guesses():
    problem = _refused("id;x,y\n1;2,3\n4;5,6\n")
    assert problem.field == "delimiter"
    assert "comma (2 columns) or semicolon (2 columns)" in problem.message
    declared_ = ReadOptions(delimiter="semicolon")
    assert "there are id, x,y" in _refused("id;x,y\n1;2,3\n", declared_).message


def test_a_header_in_apostrophes_says_that_they_are_the_quotes():
    records, _, noticed = _read("'company_id','note'\n'c1','a,b'\n'c2','it''s'\n")
    assert [record["note"] for record in records] == ["a,b", "it's"]
    assert noticed.quote == "'"


def test_rows_and_columns_in_which_nothing_stands_are_passed_over_and_counted():
    data = "\n,,\ncompany_id,name,\nc1,A,\n,,\n\nc2,B,\n,,\n"
    records, problems, noticed = _read(data)
    assert [record["company_id"] for record in records] == ["c1", "c2"]
    assert problems == []
    assert (noticed.empty_rows, noticed.empty_columns) == (5, 1)


def test_cells_missing_at_the_end_are_empty_and_empty_ones_behind_it_go():
    data = "company_id,name,title\nc1\nc2,B\nc3,C,D,,\nc4,D,E,,x\n"
    records, problems, noticed = _read(data)
    assert records == [
        {"company_id": "c1", "name": "", "title": ""},
        {"company_id": "c2", "name": "B", "title": ""},
        {"company_id": "c3", "name": "C", "title": "D"},
    ]
    assert problems == [Problem(5, None, "has 5 fields, the header has 3")]
    assert (noticed.short_rows, noticed.long_rows) == (2, 1)


def test_a_last_row_that_may_be_cut_off_is_no_record():
    records, problems, noticed = _read("company_id,name\nc1,A\nc12")
    assert [record["company_id"] for record in records] == ["c1"]
    assert "cut off" in problems[0].message
    assert (problems[0].line, noticed.short_rows) == (3, 0)
    whole, problems, _ = _read("company_id,name\nc1,A\nc12,B")
    assert (len(whole), problems) == (2, [])
    _, problems, _ = _read("company_id,,name\nc1,x")
    assert "no name in the header" in problems[0].message
    # The same where rows are read one by one.
    _, problems, _ = _read('company_id,name\n"c1"x,A\nc2,B\nc12')
    assert "cut off" in problems[1].message


def test_after_a_broken_row_its_parts_are_no_records():
    data = 'company_id,note\nc1,"a "b\nc\nd"\nc2,fine\nc3\n'
    records, problems, _ = _read(data)
    assert [record["company_id"] for record in records] == ["c2", "c3"]
    assert [problem.line for problem in problems] == [2, 3]
    assert problems[1].message.startswith("2 rows from here on may be parts of that on")


def test_quotes_that_swallow_again_and_again_come_to_an_end_that_is_told():
    row = 'y","z' + "x" * 1000 + "\n"
    data = "company_id,note\n" + row * 70_000
    _, problems, noticed = _read(data)
    assert problems
    assert any("were not read" in told for told in noticed.unread)


def test_a_line_and_a_record_have_a_bound():
    line = "x" * (20 << 20)
    records, problems, _ = _read(f"company_id\na\n{line}\nb\n")
    assert [record["company_id"] for record in records] == ["a", "b"]
    assert problems[0].line == 3
    assert "is longer than 8 Mi characters" in problems[0].message
    assert "header cannot be read" in _refused(line).message
    cell = '"' + ("x" * 9_999 + "\n") * 80 + '"'
    data = "company_id" + ",c%d" * 12 % tuple(range(12)) + "\na" + f",{cell}" * 12
    records, problems, _ = _read(f"{data}\nb\n")
    assert "is longer than 8 Mi characters or 100,000 lines" in problems[0].message
    assert records == []


@pytest.mark.parametrize(
    ("start", "what"),
    [
        (b"%PDF-1.7", "a PDF document"),
        (b"<!DOCTYPE html><html>", "an HTML page"),
        (b'{"company_id": "a"}\n', "application/x-ndjson"),
        (b"PAR1....", "application/vnd.apache.parquet"),
        (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "spreadsheetml"),
    ],
)
def test_what_is_no_csv_is_named_with_what_to_do(start, what):
    assert what in _refused(start).message


def test_what_a_content_type_says_holds_or_is_refused():
    said = declared('text/csv; charset=Windows-1250; delimiter=";"', "gzip")
    assert said.format is CSV
    assert (said.options.encoding, said.options.delimiter) == ("Windows-1250", ";")
    assert said.options.compression == "gzip"
    assert declared("application/x-ndjson; charset=UTF-8").format is JSON_LINES
    for content_type, coding in [
        ("text/csv; header=absent", ""),
        ("text/csv; colour=red", ""),
        ("application/x-ndjson; charset=utf-16", ""),
        ("text/csv", "compress"),
        ("image/png", ""),
        ("", ""),
    ]:
        with pytest.raises(BadInput):
            declared(content_type, coding)


_CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


@given(
    st.lists(st.tuples(st.integers(1, 9), _CELLS), min_size=1, max_size=9),
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from(["utf-8-sig", "utf-16"]),
)
def test_whatever_stands_in_a_table_it_is_read_as_it_was_written(
    rows, delimiter, codec
):
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter)
    writer.writerow(["company_id", "note"])
    writer.writerows(rows)
    records, problems, noticed = _read(out.getvalue().encode(codec))
    assert problems == []
    assert [(int(one["company_id"]), one["note"]) for one in records] == rows
    assert noticed.delimiter == delimiter
