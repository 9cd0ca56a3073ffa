"""What a file looks like: its format, its columns in their order, their headings."""

import csv
import io
from collections.abc import Sequence
from typing import Any

import pytest

from pricing.findings import EmailStatus, Finding, FoundColumns
from pricing.plans import Item
from tests.exports.opened_files import write
from worker.exports.export_options import export_of
from worker.exports.file_layout import Layout
from worker.exports.file_names import file_name, media_type
from worker.infrastructure.errors import BadInput
from worker.quotes.priced_records import PricedRecords
from worker.quotes.readers.record_columns import others_of
from worker.quotes.readers.records import Record

INPUT = ("company_id", "person_id", "note")
BOTH = (Item.EMAIL, Item.PHONE)
FOUND = Finding("ada@example.com", EmailStatus.VALID, "+32 2 555")
RECORD = Record(1, {"company_id": "acme", "person_id": "ada"})


def _layout(
    *columns: dict[str, Any],
    input_: tuple[str, ...] = INPUT,
    retrieve: tuple[Item, ...] = BOTH,
    format_: str = "csv",
) -> Layout:
    stored = {"format": format_, "columns": list(columns) or None}
    return Layout(export_of(stored), input_, retrieve)


def _refused(layout: Layout) -> str:
    with pytest.raises(BadInput) as refused:
        layout.check()
    return str(refused.value)


def _cells(layout: Layout, record: Record, finding: Finding) -> list[Sequence[str]]:
    records = PricedRecords(
        numbers=[record.number],
        company_ids=[record.company_id],
        person_ids=[record.person_id],
        claims=[0],
        patterns=[()],
        others=others_of([record.fields]),
    )
    return layout.cells(records, FoundColumns.of([finding]))


def _row(layout: Layout, record: Record, finding: Finding) -> list[str]:
    return [column[0] for column in _cells(layout, record, finding)]


@pytest.mark.parametrize(
    ("stored", "texts"),
    [
        ({}, ["company_id", "person_id", "input_phone", "phone"]),
        ({"text_columns": ["note"]}, ["note"]),
        ({"text_columns": []}, []),
        (
            {"columns": [{"field": "phone", "heading": "Tel"}, {"field": "note"}]},
            ["Tel"],
        ),
    ],
)
def test_in_a_csv_for_excel_ids_and_phones_or_what_is_named_are_not_retyped(
    stored, texts
):
    export = export_of({"format": "csv", "profile": "excel"} | stored)
    layout = Layout(export, (*INPUT, "phone"), (Item.PHONE,))
    layout.check()
    row = ["1"] * len(layout.headings)
    written = write(export.format, layout.headings, [row]).decode("utf-8-sig")
    names, cells = csv.reader(io.StringIO(written))
    kept = [name for name, cell in zip(names, cells, strict=True) if cell == '="1"']
    assert kept == texts


def test_a_column_that_is_not_in_the_file_cannot_be_kept_from_being_retyped():
    stored = {
        "profile": "excel",
        "columns": [{"field": "note"}],
        "text_columns": ["vat"],
    }
    layout = Layout(export_of(stored), INPUT, ())
    assert _refused(layout) == (
        "export.text_columns: 'vat' is no column of the file, which has note"
    )


@pytest.mark.parametrize("name", ["csv", "xlsx", "jsonl", "parquet", "zip"])
def test_a_files_name_tells_its_media_type(name):
    kinds = {
        "csv": "text/csv; charset=utf-8; header=present",
        "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "jsonl": "application/x-ndjson",
        "parquet": "application/vnd.apache.parquet",
        "zip": "application/zip",
    }
    assert media_type(f"job-1.{name}") == kinds[name]
    assert media_type("job-1") == "application/octet-stream"


@pytest.mark.parametrize("stored", [None, {}, {"format": "csv"}])
def test_without_a_choice_a_file_is_csv_for_machines(stored):
    export = export_of(stored)
    assert (export.format.name, export.profile) == ("csv", "machine")
    assert file_name("job-1", export) == "job-1.csv"


@pytest.mark.parametrize("name", ["csv", "xlsx", "jsonl", "parquet"])
def test_a_files_name_ends_as_its_format_and_a_split_ones_as_a_zip(name):
    assert file_name("job-1", export_of({"format": name})) == f"job-1.{name}"
    split = export_of({"format": name, "split_records": 10})
    assert file_name("job-1", split) == "job-1.zip"


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        ({"format": "pdf"}, "export.format: is none of csv, xlsx, jsonl, parquet"),
        ({"format": "xlsx", "profile": "excel"}, "export.profile: is for csv; xlsx"),
        ({"profile": "mac"}, "export.profile: is none of machine, excel, excel_eu"),
        ({"nulls": "none"}, "export.nulls: is none of empty, null"),
        (
            {"nulls": "null"},
            "export.nulls: null is for jsonl and parquet; csv has none",
        ),
        ({"format": "xlsx", "nulls": "null"}, "export.nulls: .*; xlsx has none"),
        (
            {"text_columns": []},
            "text_columns: is for a csv of the profile excel or excel_eu; in the prof",
        ),
        (
            {"format": "jsonl", "text_columns": ["vat"]},
            "text_columns: .* jsonl every",
        ),
    ],
)
def test_a_look_that_no_file_has_is_refused(stored, message):
    with pytest.raises(BadInput, match=message):
        export_of(stored)


def test_the_default_columns_are_the_inputs_then_what_is_retrieved():
    layout = _layout()
    assert layout.headings == [*INPUT, "email", "email_status", "phone"]
    assert _row(layout, RECORD, FOUND) == [
        *("acme", "ada", ""),
        *("ada@example.com", "valid", "+32 2 555"),
    ]
    assert _layout(retrieve=(Item.PHONE,)).headings == [*INPUT, "phone"]
    assert _layout(retrieve=()).headings == list(INPUT)


def test_a_status_without_an_address_is_not_told():
    row = _row(_layout(), RECORD, Finding(None, EmailStatus.INVALID, None))
    assert row[3:] == ["", "", ""]


def test_columns_come_in_the_order_and_under_the_headings_that_were_asked_for():
    layout = _layout(
        {"field": "phone", "heading": "Téléphone"},
        {"field": "company_id"},
        {"field": "phone", "heading": "again"},
        retrieve=(Item.PHONE,),
    )
    layout.check()
    assert layout.headings == ["Téléphone", "company_id", "again"]
    assert _row(layout, RECORD, FOUND) == ["+32 2 555", "acme", "+32 2 555"]


def test_what_is_paid_for_is_told_from_what_was_handed_in():
    input_ = ("company_id", "email", "input_email", "phone")
    record = Record(1, dict(zip(input_, ["acme", "old", "older", "1"], strict=True)))
    layout = _layout(input_=input_, retrieve=(Item.EMAIL,))
    layout.check()
    assert dict(zip(layout.headings, _row(layout, record, FOUND), strict=True)) == {
        "company_id": "acme",
        "input_input_email": "old",
        "input_email": "older",
        "phone": "1",
        "email": "ada@example.com",
        "email_status": "valid",
    }


def test_a_field_that_is_not_there_is_refused_with_those_that_are():
    unknown = _layout({"field": "nope"}, retrieve=(Item.PHONE,))
    assert _refused(unknown) == (
        "export.columns: 'nope' is none of company_id, person_id, note, phone"
    )
    assert "'email' is none of" in _refused(_layout({"field": "email"}, retrieve=()))


@pytest.mark.parametrize("format_", ["csv", "xlsx", "jsonl", "parquet"])
@pytest.mark.parametrize(
    ("fields", "retrieve", "lacking"),
    [
        (["note"], BOTH, ["e-mail: add email", "phone: add phone"]),
        (["email_status", "phone"], BOTH, ["e-mail: add email"]),
        (["input_email", "email"], BOTH, ["phone: add phone"]),
        (["input_phone"], (Item.PHONE,), ["phone: add phone"]),
        (["email", "phone"], BOTH, []),
        (["note"], (), []),
    ],
)
def test_what_is_retrieved_has_a_column_or_is_refused(
    fields, retrieve, lacking, format_
):
    layout = _layout(
        *({"field": field} for field in fields),
        input_=(*INPUT, "email", "phone"),
        retrieve=retrieve,
        format_=format_,
    )
    if not lacking:
        layout.check()
        return
    with pytest.raises(BadInput) as refused:
        layout.check()
    assert [problem.field for problem in refused.value.problems] == [
        "export.columns"
    ] * len(lacking)
    for problem, words in zip(refused.value.problems, lacking, strict=True):
        assert problem.message.startswith(f"has no column for the {words}, or leave")


def test_two_equal_headings_are_refused():
    columns = {"field": "note", "heading": "x"}, {"field": "title", "heading": "x"}
    layout = _layout(*columns, input_=(*INPUT, "title"), retrieve=())
    assert _refused(layout) == ("export.columns: the heading 'x' is there twice")


@pytest.mark.parametrize(
    ("heading", "message"),
    [(" ", "has no name"), ("a\nb", "cannot be read"), ("\ud800", "cannot be read")],
)
def test_a_heading_that_cannot_be_read_is_refused(heading, message):
    refused = _refused(_layout({"field": "note", "heading": heading}, retrieve=()))
    assert refused.startswith("export.columns: the heading of note")
    assert message in refused


def test_more_columns_than_a_format_has_are_refused():
    columns = [{"field": "note", "heading": f"h{n}"} for n in range(16_385)]
    _layout(*columns, retrieve=(), format_="csv").check()
    _layout(*columns[1:], retrieve=(), format_="xlsx").check()
    assert _refused(_layout(*columns, retrieve=(), format_="xlsx")) == (
        "export.columns: 16,385 are too many; xlsx has 16,384"
    )


def test_a_heading_that_a_format_cannot_hold_is_refused():
    input_ = ("company_id", "x" * 40_000)
    _layout(input_=input_, format_="csv").check()
    assert "a cell of xlsx holds 32,767" in _refused(
        _layout(input_=input_, format_="xlsx")
    )


def test_a_row_that_cannot_be_written_is_refused_by_field_without_its_value():
    layout = _layout()
    finding = Finding("secret\0@example.com", EmailStatus.VALID, None)
    refused = layout.refusals(_cells(layout, RECORD, finding), [0])
    assert refused == {0: ("email", "contains a NUL character")}
    assert layout.refusals(_cells(layout, RECORD, FOUND), [0]) == {}
