"""Pushes into Salesforce: what an account and a picklist make of them."""

import httpx
import pytest

from tests.database import running
from tests.pushing import connect, contact, counts, push


@pytest.fixture
def house(wired):
    deps = wired(crm_settle_s=0.2, lease_s=2)
    running.create_license(deps, credits_granted=100_000)
    return deps


def _connect(house, sandbox, **settings):
    url = {"url": f"{sandbox.url}/salesforce"}
    return connect(house, "salesforce", url | settings, {"access_token": "token"})


def _records(count, **fields):
    return [contact(f"c{n}", f"p{n}", **fields) for n in range(count)]


@pytest.mark.parametrize("overwrite", ["if_empty", "always"])
def test_a_contact_of_another_account_is_moved_only_where_that_is_asked_for(
    house, sandbox, overwrite
):
    door = f"{sandbox.url}/_sandbox/salesforce/records"
    planted = [{"Name": "Theirs"}]
    (theirs,) = httpx.post(door, params={"type": "companies"}, json=planted).json()
    ada = {"LastName": "A", "Email": "a@b.example", "AccountId": theirs}
    httpx.post(door, json=[ada]).raise_for_status()
    report = push(
        house,
        _connect(house, sandbox),
        _records(1, email="a@b.example", title="Analyst"),
        overwrite=overwrite,
    )
    assert counts(report) == {"updated": 1}
    (shown,) = httpx.get(door).json()
    assert shown["fields"]["Title"] == "Analyst"
    assert (shown["fields"]["AccountId"] == theirs) == (overwrite == "if_empty")


def test_a_value_that_an_open_picklist_does_not_offer_refuses_no_quote(house, sandbox):
    records = _records(1, source="Elsewhere")
    mapping = {"person": {"person_source": "LeadSource"}}
    report = push(house, _connect(house, sandbox), records, mapping=mapping)
    assert counts(report) == {"created": 1}
