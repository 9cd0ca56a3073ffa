"""Salesforce by its connector alone, over real HTTP: what the contract does not say."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.connectors.asking import PlainHttp
from tests.sandboxes import Sandbox
from worker.connectors import (
    Access,
    Ambiguous,
    Existing,
    Kind,
    Rejected,
    Row,
    Wanted,
    Written,
)
from worker.connectors.errors import Misconfigured, Unavailable
from worker.connectors.salesforce import Salesforce

KEY = "Holdfast_Id__c"
UPSERT = "PATCH /services/data/v62.0/composite/sobjects/Contact/Holdfast_Id__c"


class Org:
    """A Salesforce of the sandbox, and the connector in front of it."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.http = PlainHttp()
        self.waits: list[float] = []
        self.salesforce = self.connector()

    def connector(self, **settings: str) -> Salesforce:
        url = {"url": f"{self.sandbox.url}/salesforce"}
        access = Access(settings=url | settings, secrets={})
        return Salesforce(self.http, access, self.waits.append)

    def behave(self, **how: Any) -> None:
        self.sandbox.behave("salesforce", **{"finish_ms": 0} | how)

    def asked(self, path: str) -> int:
        paths: dict[str, int] = self.sandbox.tally("salesforce")["paths"]
        return paths.get(path, 0)

    def plant(self, kind: Kind, **fields: Any) -> str:
        ids: list[str] = httpx.post(
            f"{self.sandbox.url}/_sandbox/salesforce/records",
            params={"type": "contacts" if kind is Kind.PERSON else "companies"},
            json=[fields],
        ).json()
        return ids[0]

    def merge(self, winner: str, loser: str) -> None:
        url = f"{self.sandbox.url}/_sandbox/salesforce/merge"
        httpx.post(url, json=[winner, loser]).raise_for_status()

    def found(self, kind: Kind, **wanted: Any) -> Any:
        one = Wanted(id="w", **{"fields": {"Title": "x"}, **wanted})
        return self.salesforce.find(kind, [one]).get("w")


@pytest.fixture
def org() -> Iterator[Org]:
    box = Sandbox()
    there = Org(box)
    there.behave()
    yield there
    box.close()


def _rows(count: int, **changed: dict[str, str]) -> list[Row]:
    return [
        Row(
            id=f"p{n}",
            fields={"LastName": f"N{n}", "Email": f"n{n}@engine.example"}
            | changed.get(f"p{n}", {}),
        )
        for n in range(count)
    ]


def _rejected(results: Any) -> dict[str, Rejected]:
    return {k: v for k, v in results.items() if isinstance(v, Rejected)}


def test_one_value_that_breaks_the_request_off_lets_all_others_in(org):
    results = org.salesforce.write(Kind.PERSON, _rows(100, p61={"Size__c": "many"}))
    (why,) = _rejected(results).values()
    assert (set(_rejected(results)), why.code) == ({"p61"}, "invalid_value")
    assert org.sandbox.tally("salesforce")["contacts"] == 99
    assert org.asked(UPSERT) <= 16


@pytest.mark.parametrize("count", [40, 250])
def test_rows_that_somebody_else_has_locked_land_in_the_end(org, count):
    org.behave(fault="locked", times=2)
    results = org.salesforce.write(Kind.PERSON, _rows(count))
    assert all(isinstance(one, Written) and one.created for one in results.values())
    assert org.sandbox.tally("salesforce")["contacts"] == count
    assert org.waits


def test_rows_that_stay_locked_are_left_for_later(org):
    org.behave(fault="locked", times=99)
    with pytest.raises(Unavailable):
        org.salesforce.write(Kind.PERSON, _rows(8))
    org.behave()
    assert len(org.salesforce.write(Kind.PERSON, _rows(8))) == 8
    assert org.sandbox.tally("salesforce")["contacts"] == 8


def test_contacts_of_one_account_are_beside_each_other(org):
    accounts = [org.plant(Kind.COMPANY, Name=f"A{n}") for n in range(3)]
    rows = [
        Row(id=f"p{n}", fields={"LastName": "x"}, company_their_id=accounts[n % 3])
        for n in range(12)
    ]
    org.salesforce.write(Kind.PERSON, rows)
    (sent,) = [one for one in org.http.exchanges if one.method == "PATCH"]
    order = [record["AccountId"] for record in sent.body["records"]]
    assert order == sorted(order)


def test_a_duplicate_rule_holds_unless_duplicates_are_allowed(org):
    there = org.plant(Kind.PERSON, LastName="Ada", Email="n0@engine.example")
    (why,) = org.salesforce.write(Kind.PERSON, _rows(1)).values()
    assert (why.code, there in (why.link or "")) == ("duplicate", True)
    (result,) = (
        org.connector(allow_duplicates="true").write(Kind.PERSON, _rows(1)).values()
    )
    assert isinstance(result, Written)


def test_more_rows_than_a_call_takes_go_by_one_ingest_job(org):
    org.behave(finish_ms=200)
    org.waits.clear()
    rows = _rows(300, p7={"Email": "no address"}, p9={"Title": ""})
    results = org.salesforce.write(Kind.PERSON, rows)
    assert {k: (v.code, v.field) for k, v in _rejected(results).items()} == {
        "p7": ("invalid_email", "Email")
    }
    assert org.sandbox.tally("salesforce")["jobs"] == 1
    assert org.asked(UPSERT) == 0
    again = org.salesforce.write(Kind.PERSON, rows)
    assert not any(one.created for one in again.values() if isinstance(one, Written))


def test_an_ingest_job_that_leaves_rows_out_is_followed_by_another(org):
    org.behave(fault="fewer", times=1)
    results = org.salesforce.write(Kind.PERSON, _rows(250))
    assert len(results) == 250
    assert org.sandbox.tally("salesforce")["jobs"] == 2


@pytest.mark.parametrize("key", ["acme.inc", "o'neill", "a\\b", "ä&?=#/%"])
def test_any_id_of_ours_is_a_key_and_found_again(org, key):
    (result,) = org.salesforce.write(
        Kind.COMPANY, [Row(id=key, fields={"Name": "x"})]
    ).values()
    assert isinstance(result, Written)
    found = org.salesforce.find(Kind.COMPANY, [Wanted(id=key, fields={"Name": "x"})])
    assert found[key].their_id == result.their_id
    assert not any(key in one.path for one in org.http.exchanges)


def test_a_thousand_wanted_are_asked_for_in_urls_that_are_not_too_long(org):
    org.salesforce.write(Kind.PERSON, _rows(150))
    wanted = [
        Wanted(id=f"p{n}", fields={}, match=f"x{n}@y.example") for n in range(1_000)
    ]
    assert len(org.salesforce.find(Kind.PERSON, wanted)) == 150


def test_what_was_merged_is_followed_and_what_was_deleted_is_not_there(org):
    first, second, third = (
        org.plant(Kind.PERSON, LastName=name) for name in ("A", "B", "C")
    )
    org.merge(second, first)
    org.merge(third, second)
    followed = org.found(Kind.PERSON, their_id=first)
    assert (followed.their_id, followed.has_key) == (third, True)
    url = f"{org.sandbox.url}/_sandbox/salesforce/records"
    httpx.delete(url, params={"id": third}).raise_for_status()
    assert org.found(Kind.PERSON, their_id=third) is None


@pytest.mark.parametrize("flag", ["HasOptedOutOfEmail", "DoNotCall"])
def test_a_flag_against_contact_is_told(org, flag):
    org.plant(Kind.PERSON, LastName="A", Email="a@b.example", **{flag: True})
    assert org.found(Kind.PERSON, match="a@b.example").do_not_contact


def test_by_website_and_address_only_what_is_nobodys_of_ours_is_found(org):
    org.plant(Kind.COMPANY, Name="A", Website="https://www.engine.example/")
    found = org.found(Kind.COMPANY, match="engine.example")
    assert isinstance(found, Existing)
    assert not found.has_key
    org.plant(Kind.COMPANY, Name="B", Website="engine.example")
    assert isinstance(org.found(Kind.COMPANY, match="engine.example"), Ambiguous)
    org.plant(Kind.PERSON, LastName="A", Email="a@b.example", **{KEY: "another"})
    assert org.found(Kind.PERSON, match="a@b.example") is None


def test_an_owner_is_an_active_user_by_address_or_name(org):
    by_mail = org.salesforce.owner("ada@ours.example")
    assert by_mail == org.salesforce.owner("Ada Owner")
    with pytest.raises(Misconfigured, match="no active user"):
        org.salesforce.owner("nobody' OR Name = 'Ada Owner")


def test_topics_are_made_once_and_added_to_those_there_are(org):
    their_id = org.plant(Kind.PERSON, LastName="A")
    org.salesforce.tag(Kind.PERSON, [their_id], ["New"])
    org.salesforce.tag(Kind.PERSON, [their_id], ["New", "Old"])
    url = f"{org.sandbox.url}/_sandbox/salesforce/records"
    (shown,) = httpx.get(url).json()
    assert shown["fields"]["Topics"] == ["New", "Old"]


def test_a_field_that_salesforce_does_not_have_stops_the_push(org):
    rows = _rows(3, p1={"Shoe__c": "44"})
    with pytest.raises(Misconfigured, match="Shoe__c") as caught:
        org.salesforce.write(Kind.PERSON, rows)
    assert caught.value.code == "unknown_field"


def test_an_open_picklist_offers_its_values_and_takes_others(org):
    fields = org.salesforce.fields(Kind.PERSON)
    source, rating = fields["LeadSource"], fields["Rating__c"]
    assert (source.options, source.takes("Elsewhere")) == (("Web", "Fair"), True)
    assert (rating.is_open, rating.takes("Elsewhere")) == (False, False)


@pytest.mark.parametrize("keeps", [False, True])
def test_who_is_in_another_account_stays_there_where_nothing_is_overwritten(org, keeps):
    theirs, ours = (org.plant(Kind.COMPANY, Name=name) for name in ("A", "B"))
    placed = org.plant(Kind.PERSON, LastName="x", AccountId=theirs)
    free = org.plant(Kind.PERSON, LastName="y")
    rows = [
        Row(
            id=f"p{n}",
            fields={"Title": "z"},
            their_id=their_id,
            company_their_id=ours,
            keeps_company=keeps,
        )
        for n, their_id in enumerate((placed, free))
    ]
    assert not _rejected(org.salesforce.write(Kind.PERSON, rows))
    url = f"{org.sandbox.url}/_sandbox/salesforce/records"
    shown = {one["id"]: one["fields"] for one in httpx.get(url).json()}
    assert shown[placed]["AccountId"] == (theirs if keeps else ours)
    assert shown[free]["AccountId"] == ours
