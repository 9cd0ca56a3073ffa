"""Reading CSV: what becomes a record, and how a problem names its place."""

from contextlib import suppress
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.read_rows import rows_of
from worker.infrastructure.errors import BadInput, Problem
from worker.infrastructure.ids import ID_LENGTH_MAX
from worker.quotes.readers.formats import CSV
from worker.quotes.readers.reader import Reading
from worker.quotes.readers.records import Record
from worker.quotes.readers.table import ReadOptions

BOM = b"\xef\xbb\xbf"
PERSONS = "company_id,person_id,first_name\n"


AS_UTF8 = ReadOptions(encoding="utf-8")


def _read(data: str | bytes, options: ReadOptions = AS_UTF8) -> Reading:
    stream = BytesIO(data.encode() if isinstance(data, str) else data)
    return CSV.read(stream, options=options)


def _records(data: str | bytes) -> list[Record]:
    rows = list(rows_of(_read(data)))
    assert all(isinstance(row, Record) for row in rows), rows
    return [row for row in rows if isinstance(row, Record)]


def _problems(data: str | bytes) -> list[Problem]:
    rows = list(rows_of(_read(data)))
    return [problem for row in rows if isinstance(row, list) for problem in row]


def _header_problem(data: str | bytes) -> Problem:
    with pytest.raises(BadInput) as refused:
        _read(data)
    (problem,) = refused.value.problems
    return problem


def test_a_row_becomes_a_record_with_all_its_fields():
    reading = _read("company_id,name,colour\nacme,Acme,red\n")
    assert reading.columns == ("company_id", "name", "colour")
    assert list(rows_of(reading)) == [
        Record(1, {"company_id": "acme", "name": "Acme", "colour": "red"}),
    ]


def test_an_empty_person_id_or_none_at_all_is_the_company_alone():
    (with_column,) = _records("company_id,person_id\nacme,\n")
    (without,) = _records("company_id\nacme\n")
    assert with_column.person_id is without.person_id is None
    assert (with_column.company_id, without.text("title")) == ("acme", "")


def test_records_are_numbered_from_1_bad_rows_included():
    rows = list(rows_of(_read("company_id\na\n\x01\nc\n")))
    numbers = [row.number for row in rows if isinstance(row, Record)]
    assert numbers == [1, 3]


def test_a_byte_order_mark_is_no_part_of_the_first_column():
    data = BOM + b"company_id\nacme\n"
    assert _read(data).columns == ("company_id",)
    assert _records(data)[0].company_id == "acme"


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_any_ending_of_a_line_will_do(ending):
    data = ending.join(["company_id,name", "a,A", "b,B"])
    assert [record.company_id for record in _records(data)] == ["a", "b"]


def test_a_missing_company_id_column_is_named():
    assert _header_problem("name,domain\nAcme,acme.test\n") == Problem(
        1, "company_id", "the column is missing; there are name, domain"
    )


def test_a_column_that_is_there_twice_is_named():
    assert _header_problem("company_id,name,name\n") == Problem(
        1, "name", "the column is there twice"
    )


def test_a_value_whose_column_has_no_name_is_told_by_its_line_and_place():
    assert _problems("company_id, ,name\na,,A\nb,x,B\n") == [
        Problem(3, None, "column 2 has a value, and no name in the header"),
    ]


@pytest.mark.parametrize(
    "header", [b"company_id,na\xffme\n", b"company_id,na\0me\n", b'company_id,"a\nb"\n']
)
def test_a_columns_name_must_be_readable(header):
    problem = _header_problem(header)
    assert (problem.line, problem.field) == (1, None)
    assert "column 2" in problem.message


@pytest.mark.parametrize("data", [b"", BOM, b"\n"])
def test_an_empty_file_lacks_its_header(data):
    problem = _header_problem(data)
    assert problem.line == 1
    assert "header line is missing" in problem.message


def test_a_header_whose_quote_never_ends_cannot_be_read():
    problem = _header_problem('company_id,"name\n')
    assert problem.line == 1
    assert "the header cannot be read" in problem.message


def test_a_header_alone_is_a_file_without_records():
    assert list(rows_of(_read("company_id,name\n"))) == []
    assert list(rows_of(_read("company_id,name"))) == []


def test_broken_utf8_is_named_by_line_and_column():
    data = b"company_id,name\nacme,Acme\nbrio,Br\xffo\ncleo,Cl\xc3\xa9o\n"
    assert _problems(data) == [Problem(3, "name", "is not valid UTF-8")]


def test_broken_utf8_in_an_id_is_one_problem_and_not_two():
    assert _problems(b"company_id,person_id\n\xff,\xfe\n") == [
        Problem(2, "company_id", "is not valid UTF-8"),
        Problem(2, "person_id", "is not valid UTF-8"),
    ]


def test_the_rows_around_a_broken_one_are_read():
    rows = list(rows_of(_read(b"company_id\na\n\xff\nc\n")))
    assert [isinstance(row, Record) for row in rows] == [True, False, True]


def test_a_row_with_too_many_fields_says_how_many():
    assert _problems(PERSONS + "a,b,c,d\n") == [
        Problem(2, None, "has 4 fields, the header has 3"),
    ]


def test_quoted_newlines_keep_later_problems_on_their_physical_line():
    data = 'company_id,note\na,"one\ntwo\r\nthree"\n\nb,\x00\nc,fine\n,empty\n'
    assert _problems(data) == [
        Problem(6, "note", "contains a NUL character"),
        Problem(8, "company_id", "is empty"),
    ]


def test_a_problem_within_a_row_of_many_lines_is_named_by_its_first_line():
    assert [problem.line for problem in _problems('company_id,note\n,"a\nb\nc"\n')] == [
        2
    ]


def test_quoted_newlines_commas_and_quotes_are_part_of_the_field():
    (record,) = _records('company_id,note\nacme,"a ""b"",\r\nc"\n')
    assert record.text("note") == 'a "b",\r\nc'


def test_blank_lines_are_no_records_but_count_as_lines():
    data = "company_id,name\n\n\na,A\n\n,B\n"
    rows = list(rows_of(_read(data)))
    assert rows[0] == Record(1, {"company_id": "a", "name": "A"})
    assert rows[1] == [Problem(6, "company_id", "is empty")]
    assert len(rows) == 2


def test_an_id_of_200_characters_is_the_longest():
    longest, too_long = "x" * ID_LENGTH_MAX, "é" * (ID_LENGTH_MAX + 1)
    assert ID_LENGTH_MAX == 200
    assert _records(f"company_id\n{longest}\n")[0].company_id == longest
    assert _problems(f"company_id\n{too_long}\n") == [
        Problem(2, "company_id", "is 201 characters long; at most 200 are allowed"),
    ]


def test_an_id_of_10_kb_is_told_by_its_length_and_not_repeated():
    (problem,) = _problems("company_id,person_id\na," + "x" * 10_240 + "\n")
    assert (problem.line, problem.field) == (2, "person_id")
    assert "10240 characters" in problem.message
    assert "xxx" not in str(problem)


def test_a_company_id_must_not_be_empty():
    assert _problems("company_id,name\n,Acme\n") == [
        Problem(2, "company_id", "is empty"),
    ]


def test_a_person_needs_its_company():
    assert _problems("company_id,person_id\n,ada\n") == [
        Problem(2, "company_id", "is empty: a person needs its company"),
    ]


@pytest.mark.parametrize("control", ["\x01", "\t", "\x1b", "\x7f", "\x85", "\x9f"])
@pytest.mark.parametrize("column", ["company_id", "person_id"])
def test_an_id_must_not_contain_control_characters(control, column):
    fields = {"company_id": "acme", "person_id": "ada"}
    fields[column] += f"{control}1"
    row = ",".join(fields.values())
    assert _problems(f"company_id,person_id\n{row}\n") == [
        Problem(2, column, "contains a control character"),
    ]


def test_a_newline_within_an_id_is_a_control_character():
    assert _problems('company_id\n"ac\nme"\n') == [
        Problem(2, "company_id", "contains a control character"),
    ]


def test_other_fields_may_contain_control_characters_but_no_nul():
    assert _records("company_id,note\na,\x01\x1b\t\n")[0].text("note") == "\x01\x1b\t"
    assert _problems("company_id,note\na,x\x00y\n") == [
        Problem(2, "note", "contains a NUL character"),
    ]


def test_a_nul_in_an_id_is_named_once():
    assert _problems("company_id\na\x00b\n") == [
        Problem(2, "company_id", "contains a NUL character"),
    ]


def test_all_that_is_wrong_in_a_row_is_named():
    places = [
        (problem.line, problem.field)
        for problem in _problems(PERSONS + ",a\x02,\x00\n")
    ]
    assert sorted(places, key=str) == [
        (2, "company_id"),
        (2, "first_name"),
        (2, "person_id"),
    ]


def test_of_a_quote_that_never_ends_only_its_own_line_is_lost():
    data = 'company_id,name\na,A\nb,"B\nc,C\n'
    first, _, behind = rows_of(_read(data))
    assert first == Record(1, {"company_id": "a", "name": "A"})
    assert behind == Record(3, {"company_id": "c", "name": "C"})
    (problem,) = _problems(data)
    assert problem.line == 3
    assert "the row cannot be read" in problem.message


def test_a_cell_may_hold_a_megabyte():
    huge = "x" * (1 << 20)
    assert _records(f"company_id,note\na,{huge}\n")[0].text("note") == huge


def test_a_cell_larger_than_a_megabyte_cannot_be_read():
    huge = "x" * ((1 << 20) + 1)
    (problem,) = _problems(f"company_id,note\na,fine\nb,{huge}\n")
    assert problem.line == 3
    assert "the row cannot be read" in problem.message


def test_ids_are_kept_exactly_but_for_the_white_space_around_them():
    (record,) = _records("company_id,person_id\n A  cme ,Ädä\n")
    assert (record.company_id, record.person_id) == ("A  cme", "Ädä")


def test_rows_are_read_as_they_are_asked_for():
    stream = BytesIO(b"company_id\n" + b"acme\n" * 200_000)
    rows = rows_of(CSV.read(stream))
    assert next(rows) == Record(1, {"company_id": "acme"})
    assert stream.tell() < 100_000, "a file must not be held as a whole"


# A record's fields, as a spreadsheet could hold them.
cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
ids = st.text(
    st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=ID_LENGTH_MAX
).filter(str.strip)


@given(st.lists(st.tuples(ids, ids | st.just(""), cells), max_size=8))
def test_what_csv_can_hold_is_read_as_it_was(rows):
    text = _csv([("company_id", "person_id", "note"), *rows])
    records = _records(text)
    assert [
        (record.company_id, record.person_id or "", record.text("note"))
        for record in records
    ] == [(company.strip(), person.strip(), note) for company, person, note in rows]


@given(st.binary(max_size=200))
def test_whatever_bytes_come_they_are_records_or_problems(data):
    try:
        rows = list(rows_of(_read(b"company_id,name\n" + data)))
    except BadInput:
        rows = []
    lines = len(data.splitlines()) + 2
    for row in rows:
        if isinstance(row, Record):
            assert 0 < len(row.company_id) <= ID_LENGTH_MAX
        else:
            assert row
            assert all(2 <= problem.line <= lines for problem in row)


def _csv(rows: list[tuple[str, ...]]) -> bytes:
    out = BytesIO()
    for row in rows:
        quoted = ('"' + cell.replace('"', '""') + '"' for cell in row)
        out.write((",".join(quoted) + "\r\n").encode())
    return out.getvalue()


@pytest.mark.parametrize("data", [b"company_id\nc1\n", b"name\n"])
def test_the_stream_stays_open_for_whoever_opened_it(data):
    stream = BytesIO(data)
    with suppress(BadInput):
        list(rows_of(CSV.read(stream)))
    assert not stream.closed
