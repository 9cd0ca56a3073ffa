"""Records of a request's body: the shapes of JSON Lines, numbered by their place."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.read_rows import rows_of
from worker.infrastructure.errors import Code, Problem, Refused
from worker.quotes.readers import inline_records
from worker.quotes.readers.records import Record


def test_places_count_from_1_as_numbers_and_as_lines():
    reading = inline_records.read(
        [
            {"company": {"id": "a", "name": "A"}, "person": None},
            {"company": {}},
            {"company": {"id": "c"}, "person": {"id": "p"}, "note": 1.5},
        ]
    )
    assert list(rows_of(reading)) == [
        Record(1, {"company_id": "a", "company_name": "A", "note": ""}),
        [Problem(2, "company_id", "is missing")],
        Record(
            3, {"company_id": "c", "person_id": "p", "company_name": "", "note": "1.5"}
        ),
    ]
    assert tuple(reading.columns) == (
        "company_id",
        "company_name",
        "person_id",
        "note",
    )


@given(st.binary(max_size=200) | st.from_regex(rb'\{"records": ?\[.{0,40}\]\}'))
def test_whatever_a_body_is_its_records_are_a_list_or_none(body):
    records = inline_records.written_records(body)
    assert records is None or list(rows_of(inline_records.read(records))) is not None


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_what_is_no_number_is_a_problem(number):
    (row,) = rows_of(inline_records.read([{"company_id": "a", "x": number}]))
    assert isinstance(row, list)
    assert (row[0].line, row[0].field) == (1, "x")


def test_what_was_handed_in_is_not_changed():
    record = {"company_id": 7, "note": None}
    list(rows_of(inline_records.read([record])))
    assert record == {"company_id": 7, "note": None}


def test_more_than_a_body_holds_is_refused():
    records = [{"company_id": "a"}] * (inline_records.RECORDS_MAX + 1)
    assert inline_records.RECORDS_MAX == 10_000
    with pytest.raises(Refused) as refused:
        inline_records.read(records)
    assert refused.value.code is Code.TOO_LARGE
    assert len(list(rows_of(inline_records.read(records[1:])))) == 10_000
