"""What a record becomes in a CRM, and what its end tells of it."""

import pytest

from pricing.findings import NOTHING, EmailStatus, Finding, FoundColumns
from pricing.plans import Item
from storage.crm_changes import Change
from worker.connections.connectors.connector import Kind, Rejected
from worker.findings.redaction import without_findings
from worker.infrastructure.errors import BadInput
from worker.pushes.field_values import Values
from worker.pushes.push_options import push_of
from worker.pushes.record_outcomes import Done, Ended, disclosed, told
from worker.quotes.priced_records import PricedRecords

DEFAULTS = {
    Kind.COMPANY: {"company_name": "name", "company_domain": "website"},
    Kind.PERSON: {"full_name": "name", "title": "function", "email": "email"},
}
COLUMNS = ("company_id", "company_name", "person_id", "first_name", "title", "industry")
ADA = {
    "company_name": "One",
    "first_name": "Ada",
    "title": "",
    "industry": "Tea",
}
FOUND = Finding(email="ada@one.example", email_status=EmailStatus.VALID)


def _values(retrieve=(), **push):
    return Values(
        push_of({"connection": "x", **push}), DEFAULTS, COLUMNS, tuple(retrieve)
    )


def _records(*each):
    """Records of one company, by columns; each is another person of it."""
    count = len(each)
    return PricedRecords(
        numbers=range(1, count + 1),
        company_ids=["c1"] * count,
        person_ids=[f"p{number + 1}" for number in range(count)],
        claims=[0] * count,
        patterns=[()],
        others={name: [one.get(name, "") for one in each] for name in each[0]},
    )


def _company(values, fields=ADA):
    return dict(values.companies(_records(fields))[0].wanted.fields)


def _person(values, finding=NOTHING, fields=ADA):
    (ready,) = values.persons(_records(fields), FoundColumns.of([finding]))
    return ready


def _sent(values, finding=NOTHING):
    return dict(_person(values, finding).wanted.fields)


def test_usual_fields_are_filled_and_blanks_are_not_sent():
    values = _values()
    assert _company(values) == {"name": "One"}
    assert _sent(values) == {"name": "Ada"}


def test_blanks_are_sent_where_they_are_asked_for():
    assert _sent(_values(send_blanks=True)) == {"name": "Ada", "function": ""}


def test_a_mapping_adds_fields_moves_them_and_leaves_them_out():
    mapping = {"company": {"industry": "x_industry", "company_name": None}}
    values = _values(mapping=mapping)
    assert _company(values) == {"x_industry": "Tea"}
    mapping = {"person": {"first_name": "name"}}
    assert _sent(_values(mapping=mapping)) == {"name": "Ada"}


def test_what_was_found_is_sent_and_known_to_be_found():
    values = _values([Item.EMAIL])
    ready = _person(values, FOUND)
    assert dict(ready.wanted.fields) == {"name": "Ada", "email": "ada@one.example"}
    assert ready.found[Item.EMAIL] == {"email"}


def test_the_status_of_an_address_is_not_the_address_that_is_paid_for():
    values = _values([Item.EMAIL], mapping={"person": {"email_status": "x_status"}})
    ready = _person(values, FOUND)
    assert ready.found[Item.EMAIL] == {"email"}
    assert ready.tells_of == {"x_status": "email"}


def test_an_address_of_the_input_is_sent_where_none_was_found():
    fields = ADA | {"person_email": "own@one.example"}
    values = Values(
        push_of({"connection": "x"}),
        DEFAULTS,
        (*COLUMNS, "person_email"),
        (Item.EMAIL,),
    )
    nothing, found = _person(values, NOTHING, fields), _person(values, FOUND, fields)
    assert (nothing.wanted.fields["email"], nothing.wanted.match) == (
        "own@one.example",
        "own@one.example",
    )
    assert found.wanted.fields["email"] == "ada@one.example"


def test_the_parts_of_the_input_do_not_know_what_was_found():
    values = _values([Item.EMAIL])
    with_it, without = _person(values, FOUND), _person(values, NOTHING)
    assert with_it.parts != without.parts
    assert with_it.input_parts == without.input_parts


def test_a_tag_is_a_part_of_what_is_sent():
    before, now = _values(), _values(tags=["x"])
    parts = _person(now, NOTHING).parts
    assert parts.items() > _person(before, NOTHING).parts.items()


@pytest.mark.parametrize("choice", [{"overwrite": "never"}, {"send_blanks": True}])
def test_a_choice_that_writes_nothing_is_no_part(choice):
    before, now = _values(), _values(**choice)
    fields = _person(before, NOTHING).parts
    assert fields.items() <= _person(now, NOTHING).parts.items()


def test_an_owner_is_sent_with_each_and_is_a_part_of_it():
    values = _values()
    before = _person(values, NOTHING).parts
    values.own("owner_id", "7")
    assert _sent(values) == {"name": "Ada", "owner_id": "7"}
    assert _person(values, NOTHING).parts.keys() - before.keys() == {"owner_id"}


@pytest.mark.parametrize(
    ("mapping", "words"),
    [
        ({"person": {"nothing": "name"}}, "'nothing' is none of"),
        ({"person": {"title": "x", "industry": "x"}}, "'x' is filled twice"),
        ({"person": {"email": None}}, "email is retrieved and goes nowhere"),
        (
            {"person": {"email": None, "email_status": "x"}},
            "email is retrieved and goes nowhere",
        ),
    ],
)
def test_a_mapping_that_cannot_be_is_refused(mapping, words):
    push = push_of({"connection": "x", "mapping": mapping})
    with pytest.raises(BadInput, match=words):
        push.check(COLUMNS, [Item.EMAIL], DEFAULTS)


def test_an_address_that_was_not_written_was_not_disclosed():
    ready = _person(_values([Item.EMAIL]), FOUND)

    def shown(**ended):
        return disclosed(Done(ready, Ended(their_id="7", **ended)), Item.EMAIL)

    assert shown(change=Change.CREATED, fields=frozenset({"name", "email"}))
    assert not shown(change=Change.UPDATED, fields=frozenset({"name"}))
    assert shown(change=Change.UNCHANGED, is_known=True)
    assert not shown(change=Change.UNCHANGED)


def test_no_words_of_a_crm_tell_what_was_found():
    finding = Finding(email="Ada@One.example", phone="+1 555 010-0199")
    words = "ada@one.example and 15550100199 and +1 (555) 010 0199 are no good"
    assert without_findings(words, finding) == "[…] and […] and […] are no good"


def test_no_field_that_a_crm_names_tells_what_was_found():
    why = Rejected(code="invalid_email", message="no", field="ada@one.example")
    assert told(why, Finding(email="ada@one.example")).field == "[…]"
    assert told(why, Finding()).field == "ada@one.example"


def test_a_rejection_is_an_end_without_a_change():
    ended = Ended(rejected=Rejected(code="x", message="y"))
    assert (ended.is_changed, ended.their_id) == (False, None)


def test_records_that_say_the_same_of_a_company_have_it_in_common():
    one, other, third = _values().companies(
        _records(ADA, ADA | {"first_name": "Eva"}, ADA | {"company_name": "Two"})
    )
    assert one is other
    assert dict(third.wanted.fields) == {"name": "Two"}
