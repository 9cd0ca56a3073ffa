"""Reading JSON Lines: two shapes, one set of columns, problems by line and field."""

import json
from contextlib import suppress
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.read_rows import rows_of
from worker.infrastructure.errors import BadInput, Problem
from worker.infrastructure.ids import ID_LENGTH_MAX
from worker.quotes.readers.formats import JSON_LINES
from worker.quotes.readers.reader import COLUMNS_MAX, Reading
from worker.quotes.readers.records import Record

NESTED = {
    "company": {"id": "acme", "name": "Acme", "domain": "acme.test", "size": 7},
    "person": {
        "id": "ada",
        "first_name": "Ada",
        "last_name": "Lovelace",
        "title": "Countess",
        "mood": "fine",
    },
    "note": "first",
}
FLAT = {
    "company_id": "acme",
    "company_name": "Acme",
    "company_domain": "acme.test",
    "company_size": "7",
    "person_id": "ada",
    "first_name": "Ada",
    "last_name": "Lovelace",
    "title": "Countess",
    "person_mood": "fine",
    "note": "first",
}


def _reading(*objects: object) -> Reading:
    data = "".join(json.dumps(values) + "\n" for values in objects)
    return JSON_LINES.read(BytesIO(data.encode()))


def _rows(data: bytes) -> list[Record | list[Problem]]:
    return list(rows_of(JSON_LINES.read(BytesIO(data))))


def _problems(data: bytes) -> list[Problem]:
    return [found for row in _rows(data) if isinstance(row, list) for found in row]


def _fields(values: object) -> dict[str, str]:
    (row,) = rows_of(_reading(values))
    assert isinstance(row, Record), row
    return row.fields


@pytest.mark.parametrize("shape", [NESTED, FLAT])
def test_both_shapes_become_the_columns_that_a_csv_has(shape):
    assert _fields(shape) == FLAT


def test_columns_are_all_fields_of_the_file_in_the_order_they_come():
    reading = _reading(
        {"company_id": "a", "note": "x"}, {"colour": "red", "company": {"id": "b"}}
    )
    assert len(list(rows_of(reading))) == 2
    assert tuple(reading.columns) == ("company_id", "note", "colour")


def test_a_bad_line_adds_no_column():
    reading = _reading({"company_id": "", "oops": 1}, {"company_id": "a"})
    assert len(list(rows_of(reading))) == 2
    assert tuple(reading.columns) == ("company_id",)


@pytest.mark.parametrize(
    "values",
    [
        {"company": {"id": "acme"}, "person": None},
        {"company": {"id": "acme"}},
        {"company_id": "acme", "person_id": None},
        {"company_id": "acme", "person_id": ""},
        {"company_id": "acme", "person": None},
    ],
)
def test_no_person_is_the_company_alone(values):
    (row,) = rows_of(_reading(values))
    assert isinstance(row, Record)
    assert (row.company_id, row.person_id) == ("acme", None)


def test_plain_values_become_text_and_numbers_stay_as_they_were_written():
    data = b'{"company_id": 42, "a": 1.50, "b": true, "c": false, "d": null, "e": 1e3}'
    (row,) = _rows(data)
    assert isinstance(row, Record)
    values = {"a": "1.50", "b": "true", "c": "false", "d": "", "e": "1e3"}
    assert row.fields == {"company_id": "42", **values}


@pytest.mark.parametrize("value", [[], ["x"], {}, {"x": 1}])
@pytest.mark.parametrize("shape", ["flat", "company"])
def test_a_nested_value_is_named_by_line_and_field(value, shape):
    values = {"company_id": "a", "company_tags": value}
    if shape == "company":
        values = {"company": {"id": "a", "tags": value}}
    (problem,) = _problems(b"\n" + json.dumps(values).encode())
    assert (problem.line, problem.field) == (2, "company_tags")
    assert "nested" in problem.message


def test_two_fields_that_end_in_one_column_are_a_problem():
    values = {"company": {"id": "a"}, "company_id": "b"}
    assert _problems(json.dumps(values).encode()) == [
        Problem(1, "company_id", "the field is there twice")
    ]


@pytest.mark.parametrize(
    ("line", "field", "message"),
    [
        (b"{", None, "is not JSON"),
        (b'{"company_id": NaN}', None, "NaN is no number"),
        (b'{"company_id": "\xff"}', None, "is not valid UTF-8"),
        (b"[" * 100_000, None, "is nested too deeply"),
        (b'["acme"]', None, "is not an object"),
        (b"null", None, "is not an object"),
        (b"{}", "company_id", "is missing"),
        (b'{"person_id": "p"}', "company_id", "is missing: a person needs its company"),
        (b'{"person": {"id": "p"}}', "company_id", "a person needs its company"),
        (b'{"company": "acme"}', "company", "is not an object"),
        (b'{"company": {"id": "a"}, "person": "p"}', "person", "is not an object"),
        (b'{"company": {"id": "a"}, "person": {}}', "person_id", "needs its id"),
        (b'{"company": {"id": null}}', "company_id", "is empty"),
        (b'{"company_id": "a\\u0001"}', "company_id", "a control character"),
        (b'{"company_id": "a", "x": "\\u0000"}', "x", "a NUL character"),
        (b'{"company_id": "a", "x": "\\ud800"}', "x", "is not valid UTF-8"),
        (b'{"company_id": "a", "": "x"}', None, "a field has no name"),
        (b'{"company_id": "a", "x\\u0000": ""}', None, "a name that cannot be read"),
    ],
)
def test_what_is_no_record_is_named_by_its_physical_line(line, field, message):
    first, second, third = _rows(
        b'{"company_id": "a"}\n\n' + line + b'\n{"company_id": "z"}'
    )
    assert isinstance(first, Record)
    assert isinstance(second, list)
    (problem,) = second
    assert (problem.line, problem.field) == (3, field)
    assert message in problem.message
    assert third == Record(3, {"company_id": "z"})


def test_a_line_that_is_too_long_is_passed_over():
    data = b'{"company_id": "' + b"x" * (9 << 20) + b'"}\n{"company_id": "a"}\n'
    first, second = _rows(data)
    assert first == [Problem(1, None, "is longer than 8 MiB")]
    assert second == Record(2, {"company_id": "a"})


def test_more_different_fields_than_may_be_are_a_problem():
    reading = _reading(
        *({"company_id": "a", f"field {n}": "x"} for n in range(COLUMNS_MAX + 1))
    )
    bad = [row for row in rows_of(reading) if isinstance(row, list)]
    assert len(bad) == 2
    assert len(reading.columns) == COLUMNS_MAX


def test_a_byte_order_mark_and_any_blank_line_are_nothing():
    data = b'\xef\xbb\xbf{"company_id": "a"}\r\n  \r\n'
    assert _rows(data) == [Record(1, {"company_id": "a"})]
    assert _rows(b"") == []


def test_rows_are_read_as_they_are_asked_for():
    stream = BytesIO(b'{"company_id": "a"}\n' * 100_000)
    assert next(rows_of(JSON_LINES.read(stream))) == Record(1, {"company_id": "a"})
    assert stream.tell() < 100_000, "a file must not be held as a whole"


names = st.text("abcé語_.-", min_size=1, max_size=9)
scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
)
values_ = scalars | st.lists(scalars | st.lists(scalars, max_size=2), max_size=2)


@given(st.lists(st.dictionaries(names | st.just("company_id"), values_), max_size=5))
def test_whatever_objects_come_they_are_records_or_problems(objects):
    rows = list(rows_of(_reading(*objects)))
    assert len(rows) == len(objects)
    for line, row in enumerate(rows, start=1):
        if isinstance(row, Record):
            assert row.number == line
            assert 0 < len(row.company_id) <= ID_LENGTH_MAX
            assert all(isinstance(value, str) for value in row.fields.values())
        else:
            assert row
            assert all(problem.line == line for problem in row)


@given(st.binary(max_size=200))
def test_whatever_bytes_come_nothing_else_is_raised(data):
    with suppress(BadInput):  # bytes that look compressed, or like another format
        for row in _rows(data):
            assert isinstance(row, Record) or row
