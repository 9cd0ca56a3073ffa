"""Guesses: what a column is called and what it holds say which field it is."""

import io

import pytest

from worker.quotes.readers.column_mapping import KNOWN_FIELDS
from worker.quotes.readers.formats import CSV, JSON_LINES
from worker.quotes.readers.table import UNTOLD
from worker.uploads import column_guesses
from worker.uploads.column_guesses import Guesses, guesses_of, hint_of
from worker.uploads.domains import WAYS
from worker.uploads.inspection import Inspection, inspected
from worker.uploads.known_exports import KNOWN_EXPORTS


def _inspected(*lines: str) -> Inspection:
    return inspected(CSV.table(io.BytesIO("\n".join(lines).encode()), UNTOLD))


def _guesses(*lines: str) -> Guesses:
    return guesses_of(_inspected(*lines))


def _fields(guesses: Guesses) -> dict[str, tuple[str, str]]:
    return {
        one.field: (one.name, one.confidence)
        for one in guesses.columns
        if one.field is not None and one.confidence is not None
    }


@pytest.mark.parametrize(
    ("header", "field"),
    [
        ("Société", "company_name"),
        ("Nom de l'entreprise", "company_name"),
        ("Bedrijfsnaam", "company_name"),
        ("Firma", "company_name"),
        ("Razón social", "company_name"),
        ("Site web", "company_domain"),
        ("Webseite", "company_domain"),
        ("Prénom", "first_name"),
        ("Vorname", "first_name"),
        ("Voornaam", "first_name"),
        ("Nombre", "first_name"),
        ("Nom", "last_name"),
        ("Nachname", "last_name"),
        ("Achternaam", "last_name"),
        ("Apellidos", "last_name"),
        ("Fonction", "title"),
        ("Job Title", "title"),
        ("Account ID", "company_id"),
        ("Kundennummer", "company_id"),
        ("Ondernemingsnummer", "company_id"),
        ("Contact ID", "person_id"),
    ],
)
def test_usual_words_of_several_languages_are_known(header, field):
    assert _fields(_guesses(header, "x")) == {field: (header, "medium")}


def test_our_own_names_are_sure_in_any_spelling_and_say_why():
    guesses = _guesses("company_id,First Name,LAST-NAME", "c,Ada,L")
    assert _fields(guesses) == {
        "company_id": ("company_id", "high"),
        "first_name": ("First Name", "high"),
        "last_name": ("LAST-NAME", "high"),
    }
    assert all(one.why for one in guesses.columns)


def test_values_speak_where_the_name_does_not():
    uuids = [f"0b6f1d0e-0000-4000-8000-00000000000{n}" for n in range(3)]
    rows = [
        f"{uuid},www.acme-{n}.com,ada{n}@acme.com,https://linkedin.com/in/ada-{n},x"
        for n, uuid in enumerate(uuids)
    ]
    guesses = _guesses("a,b,c,d,e", *rows)
    assert _fields(guesses) == {
        "company_id": ("a", "low"),
        "company_domain": ("b", "medium"),
    }
    assert [one.derives for one in guesses.columns] == [
        None,
        "domain",
        "email",
        "profile_url",
        None,
    ]
    # What only has the shape of an id is proposed to nobody.
    assert guesses.proposal == {
        "company_domain": "b",
        "company_id": {"derive": "domain", "column": "b"},
    }


def test_of_two_columns_for_one_field_the_surer_is_taken_and_the_other_told():
    guesses = _guesses("Company,company_name", "Acme,Acme")
    other, taken = guesses.columns
    assert (taken.field, other.field) == ("company_name", None)
    assert other.why == "it could be company_name, as 'company_name' rather is"


def test_ids_are_proposed_from_addresses_only_where_persons_are_named():
    assert "person_id" not in _guesses("Email", "info@acme.com").proposal
    guesses = _guesses("Prénom,E-mail", "Ada,ada@acme.com")
    assert guesses.proposal == {
        "first_name": "Prénom",
        "company_id": {"derive": "domain", "column": "E-mail"},
        "person_id": {"derive": "email", "column": "E-mail"},
    }
    assert hint_of("company_id", guesses) == (
        'company_id could be derived from "E-mail": --derive company_id="domain:E-mail"'
    )
    assert hint_of("title", guesses) is None


@pytest.mark.parametrize(
    "known", KNOWN_EXPORTS, ids=[f"{one.name}, {one.marks[0]}" for one in KNOWN_EXPORTS]
)
def test_a_known_export_is_recognised_by_its_columns_in_any_order_and_case(known):
    names = dict.fromkeys([*known.marks, *known.columns.values()])
    sources = [one.column for one in known.derived.values()]
    header = list(dict.fromkeys([*names, *sources, "Anything else"]))[::-1]
    guesses = _guesses(",".join(name.upper() for name in header))
    assert guesses.export == known.name
    assert {field: name for field, (name, _) in _fields(guesses).items()} == {
        field: name.upper() for field, name in known.columns.items()
    }
    for field, one in known.derived.items():
        source = {"derive": one.way, "column": one.column.upper()}
        assert guesses.proposal[field] == source


def test_known_exports_name_fields_and_ways_that_there_are():
    for known in KNOWN_EXPORTS:
        assert set(known.columns) <= set(KNOWN_FIELDS)
        assert {*known.columns, *known.derived} >= {"company_id"}
        assert all(one.way in WAYS[field] for field, one in known.derived.items())


def test_a_missing_field_is_named_as_it_would_be_typed():
    guesses = _guesses("Record ID,Company name,Company Domain Name", "1,Acme,acme.com")
    assert guesses.export == "HubSpot's export of companies"
    assert hint_of("company_id", guesses) == (
        'company_id could be "Record ID": --map company_id="Record ID"'
    )


def test_twenty_rows_are_shown_and_long_cells_are_cut():
    lines = [f"{n},{'é' * 300}" for n in range(50)]
    inspection = _inspected("a,b", *lines)
    assert len(inspection.shown) == 20
    assert inspection.shown[19] == ["19", "é" * 200 + "…"]
    assert len(inspection.cells(0)) == 50


def test_records_that_bring_their_own_fields_are_shown_under_all_of_them():
    stream = io.BytesIO(b'{"a": 1}\n{"b": 2.50, "a": null}\nno json\n')
    inspection = inspected(JSON_LINES.table(stream, UNTOLD))
    assert inspection.names == ("a", "b")
    assert list(inspection.shown) == [["1", ""], ["", "2.50"]]
    assert [problem.line for problem in inspection.problems] == [3]


def test_confidence_is_told_from_the_surest_on():
    assert list(column_guesses.Confidence) == ["high", "medium", "low"]
