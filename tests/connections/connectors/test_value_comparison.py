"""Values as a CRM answers them: taken in a spelling of its own, or kept and changed."""

import pytest

from worker.connections.connectors.connector import Field, Kind, Row, Written
from worker.connections.connectors.value_comparison import difference, is_same

_SAME = [
    ("Ada", " ada "),
    ("Ada@One.example", "ada@one.example"),
    ("one.example", "https://www.one.example/"),
    ("1500.50", "1500.5"),
    ("1e3", "1000"),
    ("02 555 01 01", "+32 2 555 01 01"),
    ("+32 2 555 01 01", "+3225550101"),
    ("2024-05-01", "2024-05-01T00:00:00Z"),
    ("2024-05-01", "1714521600000"),
    ("yes", "true"),
    ("", "false"),
    ("A;B", "B;A"),
    (";B", "A;B;C"),
    ("", ""),
]
_OTHER = [
    ("lead", "customer"),
    ("Ada", ""),
    ("", "Ada"),
    ("Ada Byron", "Ada"),
    ("A;B", "A"),
    (";D", "A;B"),
    ("15", "150"),
    ("2024-05-01", "2024-05-02"),
    ("02 555 01 01", "02 555 01 02"),
]


@pytest.mark.parametrize(("sent", "has"), _SAME)
def test_another_spelling_is_the_same_value(sent, has):
    assert is_same(sent, has)


@pytest.mark.parametrize(("sent", "has"), _OTHER)
def test_what_was_kept_or_changed_is_told_with_its_field(sent, has):
    why = difference({"a": "x", "b": sent}, {"a": "x", "b": has, "c": "y"})
    assert why is not None
    assert (why.code, why.field) == ("value_not_taken", "b")


def test_of_what_is_not_answered_nothing_is_known():
    assert difference({"a": "x"}, {"b": "y"}) is None


def test_a_stage_that_hubspot_keeps_is_told(account):
    their_id = account.plant(
        Kind.PERSON, email="a@b.example", lifecyclestage="customer"
    )
    fields = {"firstname": "Ada", "lifecyclestage": "lead"}
    row = Row(id="p1", fields=fields, their_id=their_id)
    (result,) = account.hubspot.write(Kind.PERSON, [row]).values()
    assert isinstance(result, Written)
    assert result.incomplete is not None
    assert (result.incomplete.code, result.incomplete.field) == (
        "value_not_taken",
        "lifecyclestage",
    )
    assert account.records(Kind.PERSON)[their_id]["lifecyclestage"] == "customer"


@pytest.mark.parametrize(
    ("value", "takes", "joined"),
    [
        ("A", True, "A"),
        ("A; B", True, "A;B"),
        (" A ;B;", True, "A;B"),
        (";A ; B", True, ";A;B"),
        ("A;C", False, "A;C"),
        (";", False, ";"),
    ],
)
def test_several_values_are_joined_as_hubspot_joins_them(value, takes, joined):
    field = Field(
        name="x", label="x", type="enumeration", options=("A", "B"), separator=";"
    )
    appending = Field(
        **{name: getattr(field, name) for name in ("name", "label", "type", "options")},
        separator=";",
        appends=True,
    )
    assert appending.takes(value) is field.takes(value) is takes
    assert appending.joined(value) == joined
    assert field.joined(value) == (joined.lstrip(";") if takes else joined)
