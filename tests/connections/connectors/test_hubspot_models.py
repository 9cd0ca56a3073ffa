"""What is said to HubSpot, and what the sandbox says, as HubSpot's own client has it.

Each body is made into the client's model and back: a required field that is missing, a
value that is not allowed or a field that the model does not have would show.
"""

import json
import re
from datetime import datetime
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from hubspot.crm import companies, contacts, lists, owners, properties
from hubspot.crm.associations import v4 as associations

from tests.connections.connectors.conftest import Account
from tests.connections.connectors.plain_http import Exchange, persons
from worker.connections.connectors.connector import Kind, Link, Row, Written

_WRITTEN = (
    "BatchInputSimplePublicObjectBatchInput",
    {
        200: "BatchResponseSimplePublicObject",
        207: "BatchResponseSimplePublicObjectWithErrors",
    },
)


class Shape(NamedTuple):
    """Which models a request and its answers are, by a part of the client."""

    part: Any
    sent: str | None
    answered: dict[int, str]


def _objects(part: Any, name: str) -> dict[str, Shape]:
    path = f"POST /crm/v3/objects/{name}"
    upserted = {
        200: "BatchResponseSimplePublicUpsertObject",
        207: "BatchResponseSimplePublicUpsertObjectWithErrors",
    }
    sent = "BatchInputSimplePublicObjectBatchInputUpsert"
    page = {200: "CollectionResponseWithTotalSimplePublicObjectForwardPaging"}
    return {
        f"{path}/batch/upsert": Shape(part, sent, upserted),
        f"{path}/batch/update": Shape(part, *_WRITTEN),
        f"{path}/batch/read": Shape(
            part, "BatchReadInputSimplePublicObjectId", _WRITTEN[1]
        ),
        f"{path}/search": Shape(part, "PublicObjectSearchRequest", page),
    }


_LIST = {200: "ListFetchResponse"}
_ASSOCIATED = "BatchResponsePublicDefaultAssociation"
SHAPES = {
    **_objects(contacts, "contacts"),
    **_objects(companies, "companies"),
    r"GET /crm/v3/properties/\w+": Shape(
        properties, None, {200: "CollectionResponsePropertyNoPaging"}
    ),
    r"POST /crm/v3/properties/\w+": Shape(
        properties, "PropertyCreate", {201: "ModelProperty"}
    ),
    "POST /crm/v4/associations/contacts/companies/batch/associate/default": Shape(
        associations,
        "BatchInputPublicDefaultAssociationMultiPost",
        {200: _ASSOCIATED, 207: _ASSOCIATED},
    ),
    "GET /crm/v3/owners": Shape(
        owners, None, {200: "CollectionResponsePublicOwnerForwardPaging"}
    ),
    "POST /crm/v3/lists": Shape(
        lists, "ListCreateRequest", {200: "ListCreateResponse"}
    ),
    "GET /crm/v3/lists/object-type-id/.*": Shape(lists, None, _LIST),
    r"PUT /crm/v3/lists/\d+/memberships/add": Shape(
        lists, "list[str]", {200: "MembershipsUpdateResponse"}
    ),
}
# The client has no model of it.
_ACCOUNT = "GET /account-info/v3/details"
# What an error of a whole request has beside what the client's model of it knows.
_BESIDE = {"status", "errorType", "policyName"}


def there_and_back(part: Any, model: str, body: Any) -> Any:
    """A body as one of the client's models has it."""
    configuration = part.Configuration()
    configuration.client_side_validation = True
    client = part.ApiClient(configuration)
    made = client.deserialize(SimpleNamespace(data=json.dumps(body)), model)
    return client.sanitize_for_serialization(made)


def plain(body: Any) -> Any:
    """A body without what is null, and instants in one spelling."""
    if isinstance(body, dict):
        return {k: plain(v) for k, v in body.items() if v is not None}
    if isinstance(body, list):
        return [plain(one) for one in body]
    if isinstance(body, str) and re.match(r"\d{4}-\d\d-\d\dT", body):
        return datetime.fromisoformat(body)
    return body


def same(part: Any, model: str, body: Any) -> None:
    assert plain(there_and_back(part, model, body)) == plain(body), model


def everything(account: Account) -> None:
    """All that a connector asks, with answers of all kinds."""
    hubspot = account.hubspot
    hubspot.prepare()
    hubspot.test()
    hubspot.owner("72")
    for kind in Kind:
        hubspot.fields(kind)
    by_hand = account.plant(Kind.PERSON, email="n1@engine.example")
    account.plant(Kind.COMPANY, domain="engine.example")
    company = account.written(Kind.COMPANY, "c1", name="Engine", domain="x.example")
    for refusals in ("partial", "whole"):
        account.behave(refusals=refusals)
        bad = {"p3": {"email": "no address"}, "p4": {"lifecyclestage": "nonsense"}}
        account.write(Kind.PERSON, q1={"email": "n0@engine.example"})
        results = hubspot.write(Kind.PERSON, persons(5, **bad))
        written = {k: one for k, one in results.items() if isinstance(one, Written)}
        links = [Link(k, one.their_id, company) for k, one in written.items()]
        hubspot.link([*links, Link("p9", by_hand, "999999")])
        for their_id in (company, "999999"):
            rows = [Row(id="c1", fields={"city": "Ghent"}, their_id=their_id)]
            hubspot.write(Kind.COMPANY, rows)
    for kind in Kind:
        for match in ("engine.example", "n1@engine.example", "nobody.example"):
            account.found(kind, their_id="5", match=match, fields={"phone": ""})
        account.found(kind, their_id=company)
        for connector in (hubspot, account.connector(account.http)):
            connector.tag(kind, [company], ["Hot"])


@pytest.fixture
def exchanges(bare_account):
    everything(bare_account)
    return bare_account.http.exchanges


def _shape(exchange: Exchange) -> Shape | None:
    asked = f"{exchange.method} {exchange.path.removeprefix('/hubspot')}"
    if asked == _ACCOUNT:
        return None
    (shape,) = (one for path, one in SHAPES.items() if re.fullmatch(path, asked))
    return shape


def test_every_request_is_one_that_hubspots_client_could_have_sent(exchanges):
    seen = set()
    for exchange in exchanges:
        shape = _shape(exchange)
        if shape is not None and shape.sent is not None:
            same(shape.part, shape.sent, exchange.body)
            seen.add((shape.part, shape.sent))
        else:
            assert exchange.body is None
    assert seen >= {(one.part, one.sent) for one in SHAPES.values() if one.sent} - {
        (contacts, "PublicObjectSearchRequest")
    }


def test_every_answer_is_one_that_hubspots_client_understands(exchanges):
    seen = set()
    for exchange in exchanges:
        shape = _shape(exchange)
        if shape is None or exchange.reply.status >= 400:
            continue
        model = shape.answered[exchange.reply.status]
        same(shape.part, model, exchange.reply.json)
        seen.add((shape.part, model))
    unseen = {
        (one.part, model) for one in SHAPES.values() for model in one.answered.values()
    } - seen
    # Contacts are not searched for, and companies have nothing that is refused.
    assert unseen == {
        (contacts, "CollectionResponseWithTotalSimplePublicObjectForwardPaging"),
        (companies, "BatchResponseSimplePublicUpsertObjectWithErrors"),
    }


def test_every_refusal_is_an_error_as_hubspots_client_knows_it(exchanges):
    refused = [one.reply for one in exchanges if one.reply.status >= 400]
    assert {reply.status for reply in refused} == {400, 404, 409}
    for reply in refused:
        known = {k: v for k, v in reply.json.items() if k not in _BESIDE}
        same(contacts, "Error", known)


def test_values_that_are_no_strings_do_not_pass_for_the_clients(bare_account):
    """What makes the sandbox strict is what the published schema says."""
    body = {"inputs": [{"id": "1", "properties": {"phone": 1}}]}
    model = "BatchInputSimplePublicObjectBatchInput"
    assert plain(there_and_back(contacts, model, body)) != body
