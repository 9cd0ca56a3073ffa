"""Column mappings: theirs become ours; what cannot be is named by line and field."""

import io

import pytest

from pricing.claims import DERIVED
from tests.support.read_rows import rows_of
from worker.infrastructure.errors import BadInput, Problem
from worker.quotes.readers.column_mapping import ColumnMapping, Derivation, NoId
from worker.quotes.readers.formats import CSV, JSON_LINES
from worker.quotes.readers.reader import Reading
from worker.quotes.readers.records import Record
from worker.uploads.mapping_options import check_columns

_TEXT = b"Id,Firm,company_name,Mail\nc1,Acme,A,ada@acme.com\nc2,Brio,B,ben@brio.com\n"


def _csv(data: bytes, mapping: ColumnMapping) -> Reading:
    return CSV.read(io.BytesIO(data), mapping)


def _make(value: str) -> str:
    if value == "nobody":
        raise NoId("cannot be derived")
    return f"{DERIVED}{value}"


def _yes(field: str, id_: str) -> bool:
    return True


def _fields(reading: Reading) -> list[object]:
    return [
        row.fields if isinstance(row, Record) else [problem[:2] for problem in row]
        for row in rows_of(reading)
    ]


def test_a_column_can_be_two_fields_a_value_be_all_records_and_one_be_left_empty():
    mapping = ColumnMapping(
        columns={"company_id": "Id", "company_domain": "Firm", "alias": "Firm"},
        fixed={"source": "fair"},
        without=frozenset({"company_name"}),
    )
    reading = _csv(_TEXT, mapping)
    assert _fields(reading)[0] == {
        "company_id": "c1",
        "company_domain": "Acme",
        "alias": "Acme",
        "Mail": "ada@acme.com",
        "source": "fair",
    }


def test_ids_are_derived_counted_and_their_column_stays():
    mapping = ColumnMapping(
        columns={"first_name": "name"},
        derived={
            "person_id": Derivation("mail", _make),
            "company_id": Derivation("site", _make),
        },
        is_derived=_yes,
        suffix_list="a-version",
    )
    rows = b"site,mail,name\na,x,Ada\nnobody,y,Ben\nb,,\na,,Cy\n,z,\n"
    reading = _csv(rows, mapping)
    assert tuple(reading.columns)[:2] == ("company_id", "person_id")
    assert _fields(reading) == [
        {
            "company_id": "drv_a",
            "person_id": "drv_x",
            "site": "a",
            "mail": "x",
            "first_name": "Ada",
        },
        [(3, "company_id")],
        {"company_id": "drv_b", "site": "b", "mail": "", "first_name": ""},
        # A person is named without an id: the row is not the company alone.
        [(5, "person_id")],
        [(6, "company_id")],
    ]
    assert reading.derived == {"company_id": 2, "person_id": 1}
    assert reading.suffix_list == "a-version"


def test_ids_are_derived_of_records_that_bring_their_own_fields():
    mapping = ColumnMapping(
        derived={"company_id": Derivation("site", _make)}, is_derived=_yes
    )
    lines = b'{"site": "a"}\n{"other": 1}\n{"site": "b", "note": "x"}\n'
    reading = JSON_LINES.read(io.BytesIO(lines), mapping)
    assert _fields(reading) == [
        {"company_id": "drv_a", "site": "a", "note": ""},
        [(2, "company_id")],
        {"company_id": "drv_b", "site": "b", "note": "x"},
    ]
    assert tuple(reading.columns) == ("company_id", "site", "note")


def test_an_id_that_only_looks_derived_is_refused_in_its_own_row():
    rows = b"company_id,person_id\nc1,p1\n drv_x,p2\ndrv_ours,drv_y\nc2,a drv_ b\n"
    mapping = ColumnMapping(is_derived=lambda _, id_: id_ == "drv_ours")
    assert _fields(_csv(rows, mapping)) == [
        {"company_id": "c1", "person_id": "p1"},
        [(3, "company_id")],
        [(4, "person_id")],
        {"company_id": "c2", "person_id": "a drv_ b"},
    ]


_NO_COLUMN = "there is no column 'No'; there are Id, Firm, company_name, Mail"
_TWO = "two columns would be company_name: map one of them to another field"


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        (ColumnMapping(columns={"company_id": "No"}), f"company_id: {_NO_COLUMN}"),
        (
            ColumnMapping(derived={"company_id": Derivation("No", _make)}),
            f"company_id: {_NO_COLUMN}",
        ),
        (
            ColumnMapping(columns={"company_id": "Id", "company_name": "Firm"}),
            f"company_name: {_TWO}",
        ),
    ],
)
def test_a_mapping_that_does_not_fit_the_header_says_which_field(mapping, message):
    with pytest.raises(BadInput) as refused:
        _csv(_TEXT, mapping)
    assert str(refused.value) == f"line 1: {message}"


def test_what_is_asked_of_columns_is_checked_field_by_field():
    with pytest.raises(BadInput) as refused:
        check_columns(
            {
                "company_id": {"value": "all of one"},
                "person_id": {"derive": "domain", "column": "x"},
                "note": {"derive": "email", "column": "x"},
                " ": "x",
                "city": "a\0",
                "fine": {"value": "x"},
                "title": None,
            }
        )
    assert [problem[1:] for problem in refused.value.problems] == [
        ("company_id", "cannot be a fixed value: all records would be the same one"),
        ("person_id", "can be derived by email or profile_url, not by 'domain'"),
        ("note", "cannot be derived: company_id, person_id can"),
        (" ", "has no name"),
        ("city", "is mapped to a column whose name cannot be read"),
    ]
    assert isinstance(refused.value.problems[0], Problem)
