"""What a record becomes in a CRM, and what its end tells of it."""

import pytest

from pricing.findings import NOTHING, EmailStatus, Finding
from pricing.plans import Item
from pricing.settlement import Outcome
from storage.crm_changes import Change
from storage.jobs.outcomes import RecordOutcome
from worker.connections.connectors.connector import Kind, Rejected
from worker.findings.redaction import without_findings
from worker.infrastructure.errors import BadInput
from worker.pushes.field_values import Values
from worker.pushes.push_options import push_of
from worker.pushes.record_outcomes import Done, Ended, disclosed, told
from worker.quotes.readers.records import Record

DEFAULTS = {
    Kind.COMPANY: {"company_name": "name", "company_domain": "website"},
    Kind.PERSON: {"full_name": "name", "title": "function", "email": "email"},
}
COLUMNS = ("company_id", "company_name", "person_id", "first_name", "title", "industry")
ADA = Record(
    1,
    {
        "company_id": "c1",
        "company_name": "One",
        "person_id": "p1",
        "first_name": "Ada",
        "title": "",
        "industry": "Tea",
    },
)
FOUND = Finding(email="ada@one.example", email_status=EmailStatus.VALID)


def _values(retrieve=(), **push):
    return Values(
        push_of({"connection": "x", **push}), DEFAULTS, COLUMNS, tuple(retrieve)
    )


def _sent(values, finding=NOTHING):
    return dict(values.person(ADA, finding).wanted.fields)


def test_usual_fields_are_filled_and_blanks_are_not_sent():
    values = _values()
    assert dict(values.company(ADA).wanted.fields) == {"name": "One"}
    assert _sent(values) == {"name": "Ada"}


def test_blanks_are_sent_where_they_are_asked_for():
    assert _sent(_values(send_blanks=True)) == {"name": "Ada", "function": ""}


def test_a_mapping_adds_fields_moves_them_and_leaves_them_out():
    mapping = {"company": {"industry": "x_industry", "company_name": None}}
    values = _values(mapping=mapping)
    assert dict(values.company(ADA).wanted.fields) == {"x_industry": "Tea"}
    mapping = {"person": {"first_name": "name"}}
    assert _sent(_values(mapping=mapping)) == {"name": "Ada"}


def test_what_was_found_is_sent_and_known_to_be_found():
    values = _values([Item.EMAIL])
    ready = values.person(ADA, FOUND)
    assert dict(ready.wanted.fields) == {"name": "Ada", "email": "ada@one.example"}
    assert ready.found[Item.EMAIL] == {"email"}


def test_the_status_of_an_address_is_not_the_address_that_is_paid_for():
    values = _values([Item.EMAIL], mapping={"person": {"email_status": "x_status"}})
    ready = values.person(ADA, FOUND)
    assert ready.found[Item.EMAIL] == {"email"}
    assert ready.tells_of == {"x_status": "email"}


def test_an_address_of_the_input_is_sent_where_none_was_found():
    record = Record(1, ADA.fields | {"person_email": "own@one.example"})
    values = Values(
        push_of({"connection": "x"}),
        DEFAULTS,
        (*COLUMNS, "person_email"),
        (Item.EMAIL,),
    )
    nothing, found = values.person(record, NOTHING), values.person(record, FOUND)
    assert (nothing.wanted.fields["email"], nothing.wanted.match) == (
        "own@one.example",
        "own@one.example",
    )
    assert found.wanted.fields["email"] == "ada@one.example"


def test_the_parts_of_the_input_do_not_know_what_was_found():
    values = _values([Item.EMAIL])
    with_it, without = values.person(ADA, FOUND), values.person(ADA, NOTHING)
    assert with_it.parts != without.parts
    assert with_it.input_parts == without.input_parts


def test_a_tag_is_a_part_of_what_is_sent():
    before, now = _values(), _values(tags=["x"])
    parts = now.person(ADA, NOTHING).parts
    assert parts.items() > before.person(ADA, NOTHING).parts.items()


@pytest.mark.parametrize("choice", [{"overwrite": "never"}, {"send_blanks": True}])
def test_a_choice_that_writes_nothing_is_no_part(choice):
    before, now = _values(), _values(**choice)
    fields = before.person(ADA, NOTHING).parts
    assert fields.items() <= now.person(ADA, NOTHING).parts.items()


def test_an_owner_is_sent_with_each_and_is_a_part_of_it():
    values = _values()
    before = values.person(ADA, NOTHING).parts
    values.own("owner_id", "7")
    assert _sent(values) == {"name": "Ada", "owner_id": "7"}
    assert values.person(ADA, NOTHING).parts.keys() - before.keys() == {"owner_id"}


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
    ready = _values([Item.EMAIL]).person(ADA, FOUND)

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
    rejected = RecordOutcome(1, "c1", "p1", Outcome.REJECTED)
    why = Rejected(code="invalid_email", message="no", field="ada@one.example")
    assert told(rejected, why, Finding(email="ada@one.example")).field == "[…]"
    assert told(rejected, why, Finding()).field == "ada@one.example"


def test_a_rejection_is_an_end_without_a_change():
    ended = Ended(rejected=Rejected(code="x", message="y"))
    assert (ended.is_changed, ended.their_id) == (False, None)
