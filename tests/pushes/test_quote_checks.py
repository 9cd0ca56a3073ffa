"""A mapping is held against the CRM's own fields before anything can be submitted."""

import httpx
import pytest

from pricing.plans import Item
from tests.support.push_runs import connect, contact, counts, push, submit
from worker.connections import connections, crm_fields
from worker.connections.connectors.connector import Kind
from worker.infrastructure.errors import BadInput, Refused


def _refusal(house, connection, records=None, **how):
    with pytest.raises(BadInput) as caught:
        submit(house, connection, records or [contact("c1", "p1")], **how)
    return caught.value.problems


def test_the_fields_of_a_crm_are_told_with_type_rights_and_options(house, connection):
    found = connections.get(house, connection)
    person = crm_fields.fields_of(house.crms, found)[Kind.PERSON]
    assert person is not None
    stage, created = person["lifecyclestage"], person["createdate"]
    assert (stage.type, "lead" in stage.options) == ("enumeration", True)
    assert (stage.read_only, created.read_only) == (False, True)


@pytest.mark.parametrize(
    ("target", "message"),
    [("shoe_size", "no field 'shoe_size'"), ("createdate", "nobody may write")],
)
def test_a_field_that_is_not_there_or_not_to_be_written_refuses_the_push(
    house, sandbox, connection, target, message
):
    (problem,) = _refusal(
        house,
        connection,
        mapping={"person": {"title": target}},
        records=[contact("c1", "p1", title="x")],
    )
    assert problem.field == "push.mapping.person"
    assert message in problem.message
    assert sandbox.tally("hubspot")["contacts"] == 0


def test_an_owner_whom_the_crm_does_not_have_refuses_the_push(house, connection):
    (problem,) = _refusal(house, connection, owner="nobody@nowhere.example")
    assert problem.field == "push.owner"


def test_values_that_a_picklist_does_not_take_are_named_by_line_and_field(
    house, connection
):
    records = [
        contact(f"c{n}", f"p{n}", stage="lead" if n != 3 else "x") for n in range(1, 6)
    ]
    how = {"mapping": {"person": {"person_stage": "lifecyclestage"}}}
    (problem,) = _refusal(house, connection, records, **how)
    assert (problem.line, problem.field) == (3, "person_stage")
    assert "'x' is none of the values" in problem.message
    report = push(house, connection, records, reject_invalid=True, **how)
    assert counts(report) == {"created": 4, "rejected": 1}


def test_a_crm_that_cannot_be_asked_keeps_nobody_from_submitting(house, sandbox):
    url = {"url": f"{sandbox.url}/hubspot"}
    revoked = connect(house, "hubspot", url, {"access_token": "revoked"})
    how = {"mapping": {"person": {"first_name": "shoe_size"}}, "owner": "nobody"}
    submit(house, revoked, [contact("c1", "p1")], **how)
    with pytest.raises(Refused, match="does not take the token"):
        crm_fields.fields_of(house.crms, connections.get(house, revoked))


def test_what_a_crm_said_before_holds_while_it_cannot_be_asked(
    house, sandbox, connection, monkeypatch
):
    crm_fields.fields_of(house.crms, connections.get(house, connection))
    monkeypatch.setattr(crm_fields, "_FRESH_S", 0.0)
    sandbox.behave("hubspot", fault="server_error", times=99)
    mapping = {"person": {"first_name": "shoe_size"}}
    (problem,) = _refusal(house, connection, mapping=mapping)
    assert "shoe_size" in problem.message


def test_what_is_retrieved_is_checked_by_its_target_and_not_by_its_value(
    house, connection
):
    mapping = {"person": {"email": "lifecyclestage"}}
    submit(
        house,
        connection,
        [contact("c1", "p1")],
        retrieve=(Item.EMAIL,),
        mapping=mapping,
    )


def test_a_field_that_was_made_a_moment_ago_can_be_mapped_to(
    house, sandbox, connection
):
    mapping = {"person": {"first_name": "shoe_size"}}
    _refusal(house, connection, mapping=mapping)
    made = {"name": "shoe_size", "label": "Shoe", "type": "string", "fieldType": "text"}
    httpx.post(
        f"{sandbox.url}/hubspot/crm/v3/properties/contacts",
        json=made | {"groupName": "contactinformation"},
        headers={"Authorization": "Bearer token"},
    ).raise_for_status()
    submit(house, connection, [contact("c1", "p1")], mapping=mapping)
