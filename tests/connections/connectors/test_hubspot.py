"""What the HubSpot connector promises, against an account over real HTTP."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.connections.connectors.plain_http import SCREENS, UPSERT, PlainHttp, persons
from worker.connections.connectors.connector import (
    Ambiguous,
    Existing,
    Kind,
    Link,
    Row,
    Wanted,
    Written,
)
from worker.connections.connectors.errors import Misconfigured, Unavailable

# -- The key.


def test_prepare_makes_a_unique_property_on_both_and_finds_it_there_the_next_time(
    bare_account,
):
    for _ in range(2):
        bare_account.hubspot.prepare()
    for kind, name in ((Kind.PERSON, "contacts"), (Kind.COMPANY, "companies")):
        assert bare_account.asked(f"POST /crm/v3/properties/{name}") == 1
        assert bare_account.hubspot.fields(kind)["holdfast_id"].label == "Holdfast id"


def test_workers_that_prepare_and_tag_at_the_same_time_make_everything_once(
    bare_account,
):
    their_id = bare_account.plant(Kind.PERSON)

    def work(_: int) -> None:
        connector = bare_account.connector(PlainHttp())
        connector.prepare()
        connector.tag(Kind.PERSON, [their_id], ["Hot"])

    bare_account.behave(latency_ms=20)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    bare_account.behave()
    assert bare_account.lists(Kind.PERSON) == {their_id: ["Hot"]}


def test_a_property_of_our_name_that_is_not_unique_is_said_to_be_in_the_way(
    bare_account,
):
    about = {"name": "holdfast_id", "label": "x", "type": "string", "fieldType": "text"}
    bare_account.http.ask(
        "POST",
        f"{bare_account.url}/crm/v3/properties/companies",
        headers={"Authorization": "Bearer x"},
        body={**about, "groupName": "companyinformation"},
    )
    with pytest.raises(Misconfigured, match="holdfast_id of companies"):
        bare_account.hubspot.prepare()
    with pytest.raises(Misconfigured, match="non-unique"):
        bare_account.hubspot.write(
            Kind.COMPANY, [Row(id=f"c{n}", fields={}) for n in range(10)]
        )
    assert bare_account.asked("POST /crm/v3/objects/companies/batch/upsert") == 1


# -- Writing.


def test_what_is_written_again_is_there_once(account):
    first = account.hubspot.write(Kind.PERSON, persons(3))
    again = account.hubspot.write(Kind.PERSON, persons(3))
    assert [one.created for one in first.values()] == [True] * 3
    assert [one.created for one in again.values()] == [False] * 3
    assert {one.their_id for one in first.values()} == {
        one.their_id for one in again.values()
    }
    assert account.tally["contacts"] == 3


def test_a_hundred_results_in_no_order_are_each_of_their_row(account):
    results = account.hubspot.write(Kind.PERSON, persons(100))
    records = account.records(Kind.PERSON)
    assert len(results) == 100
    for our_id, result in results.items():
        assert isinstance(result, Written)
        assert records[result.their_id]["holdfast_id"] == our_id
        assert result.link == f"{SCREENS}/0-1/{result.their_id}"
    assert account.asked(UPSERT) == 1


def test_a_row_with_their_id_changes_that_record_and_gives_it_our_key(account):
    their_id = account.plant(Kind.COMPANY, name="Old", city="Ghent")
    row = Row(id="c1", fields={"name": "New"}, their_id=their_id)
    results = account.hubspot.write(Kind.COMPANY, [row])
    link = f"{SCREENS}/0-2/{their_id}"
    assert results == {"c1": Written(their_id=their_id, created=False, link=link)}
    assert account.records(Kind.COMPANY)[their_id] == {
        "name": "New",
        "city": "Ghent",
        "holdfast_id": "c1",
    }


def test_an_empty_value_clears_a_field(account):
    their_id = account.written(Kind.PERSON, "p1", firstname="Ada", phone="1")
    account.written(Kind.PERSON, "p1", phone="")
    assert account.records(Kind.PERSON)[their_id] == {
        "firstname": "Ada",
        "holdfast_id": "p1",
    }


def test_two_rows_for_one_record_do_not_overwrite_each_other(account):
    their_id = account.plant(Kind.PERSON, email="ada@engine.example")
    rows = [
        Row(id=our_id, fields={"firstname": our_id}, their_id=their_id)
        for our_id in ("p1", "p2")
    ]
    results = account.hubspot.write(Kind.PERSON, rows)
    assert isinstance(results["p1"], Written)
    assert results["p2"].code == "duplicate"
    assert account.records(Kind.PERSON)[their_id]["firstname"] == "p1"


def test_a_record_that_was_removed_meanwhile_is_rejected_alone(account):
    gone = account.plant(Kind.PERSON)
    account.remove(Kind.PERSON, gone)
    rows = [*persons(2), Row(id="p9", fields={"firstname": "x"}, their_id=gone)]
    for refusals in ("partial", "whole"):
        account.behave(refusals=refusals)
        results = account.hubspot.write(Kind.PERSON, rows)
        assert results["p9"].code == "not_found"
        assert isinstance(results["p0"], Written)
    assert account.tally["contacts"] == 2


# -- Finding.


def test_a_record_is_found_by_the_id_map_with_the_values_it_has_now(account):
    their_id = account.plant(Kind.PERSON, firstname="Ada", phone="1")
    there = account.found(
        Kind.PERSON,
        their_id=their_id,
        fields={"firstname": "Augusta", "lastname": "Byron"},
    )
    assert there == Existing(
        their_id=their_id,
        fields={"firstname": "Ada", "lastname": ""},
        has_key=True,
        link=f"{SCREENS}/0-1/{their_id}",
    )


def test_a_record_is_found_by_our_key_where_the_id_map_knows_nothing_or_a_lost_id(
    account,
):
    their_id = account.written(Kind.COMPANY, "w", name="Engine")
    for known in (None, "999999", "not a number"):
        there = account.found(Kind.COMPANY, their_id=known, match="other.example")
        assert isinstance(there, Existing)
        assert (there.their_id, there.has_key) == (their_id, True)


def test_a_contact_is_found_by_its_address_in_whatever_case(account):
    their_id = account.plant(Kind.PERSON, email="ada@engine.example")
    there = account.found(Kind.PERSON, match="Ada@Engine.example")
    assert isinstance(there, Existing)
    assert (there.their_id, there.has_key) == (their_id, False)


def test_a_contact_is_found_by_an_address_that_it_has_from_a_merge(account):
    their_id = account.plant(
        Kind.PERSON, email="ada@engine.example", hs_additional_emails="a@x.example"
    )
    there = account.found(Kind.PERSON, match="a@x.example")
    assert isinstance(there, Existing)
    assert there.their_id == their_id


def test_a_record_that_was_merged_away_is_found_as_the_one_that_stayed(account):
    stayed = account.plant(Kind.COMPANY, hs_merged_object_ids="77;78")
    there = account.found(Kind.COMPANY, their_id="78")
    assert isinstance(there, Existing)
    assert there.their_id == stayed


def test_a_contact_that_was_merged_away_is_known_by_what_hubspot_calculates(account):
    stayed = account.plant(
        Kind.PERSON, hs_calculated_merged_vids="77:1700000000000;78:1700000000001"
    )
    there = account.found(Kind.PERSON, their_id="78")
    assert isinstance(there, Existing)
    assert there.their_id == stayed
    # It explains itself: nobody has to be asked once more.
    assert account.asked("POST /crm/v3/objects/contacts/batch/read") == 1


def test_a_company_is_found_by_its_domain_without_case_or_www(account):
    their_id = account.plant(Kind.COMPANY, domain="engine.example")
    there = account.found(Kind.COMPANY, match="WWW.Engine.example")
    assert isinstance(there, Existing)
    assert (there.their_id, there.has_key) == (their_id, False)


def test_several_companies_of_a_domain_are_ambiguous(account):
    ids = [account.plant(Kind.COMPANY, domain="engine.example") for _ in range(2)]
    assert account.found(Kind.COMPANY, match="engine.example") == Ambiguous(tuple(ids))


def test_more_companies_than_a_page_of_the_search_are_all_seen(account):
    ids = account.plant_all(Kind.COMPANY, [{"domain": "engine.example"}] * 201)
    there = account.found(Kind.COMPANY, match="engine.example")
    assert isinstance(there, Ambiguous)
    assert list(there.their_ids) == ids


def test_a_hundred_companies_are_looked_for_in_three_requests(account):
    wanted = [
        Wanted(id=f"c{n}", fields={}, match=f"d{n}.example", their_id=str(n + 1))
        for n in range(100)
    ]
    account.plant(Kind.COMPANY, domain="d7.example")
    assert list(account.hubspot.find(Kind.COMPANY, wanted)) == ["c7"]
    assert len(account.http.exchanges) == 3


def test_nobody_is_found_where_nobody_is(account):
    for kind in Kind:
        assert account.found(kind, match="x@y.example", their_id="5") is None


def test_records_are_found_by_match_before_our_key_was_ever_made(bare_account):
    their_id = bare_account.plant(Kind.PERSON, email="ada@engine.example")
    there = bare_account.found(Kind.PERSON, match="ada@engine.example")
    assert isinstance(there, Existing)
    assert there.their_id == their_id
    assert bare_account.asked("POST /crm/v3/properties/contacts") == 0


def test_what_an_answer_leaves_out_is_looked_for_again(account):
    ids = [account.plant(Kind.PERSON) for _ in range(5)]
    account.behave(fault="fewer")
    wanted = [Wanted(id=f"p{id_}", fields={}, their_id=id_) for id_ in ids]
    assert len(account.hubspot.find(Kind.PERSON, wanted)) == 5


def test_all_that_is_asked_can_be_asked_of_a_dated_version(bare_account):
    dated = bare_account.connector(bare_account.http, api_version="2026-03")
    dated.test()
    dated.prepare()
    assert dated.owner("ada@acme.example") == "71"
    dated.find(Kind.COMPANY, [Wanted(id="c1", fields={}, match="c.example")])
    ids = {}
    for kind in Kind:
        (result,) = dated.write(kind, [Row(id="x1", fields={})]).values()
        assert isinstance(result, Written)
        ids[kind] = result.their_id
    assert dated.link([Link("x1", ids[Kind.PERSON], ids[Kind.COMPANY])]) == {}
    dated.tag(Kind.PERSON, [ids[Kind.PERSON]], ["Fresh"])
    assert bare_account.lists(Kind.PERSON) == {ids[Kind.PERSON]: ["Fresh"]}
    asked = [exchange.path for exchange in bare_account.http.exchanges]
    assert all("/2026-03" in path for path in asked), asked


# -- Links, lists, owners, fields.


def test_persons_are_linked_to_their_companies_once(account):
    company = account.written(Kind.COMPANY, "c1", name="Engine")
    links = [
        Link(our_id, one.their_id, company)
        for our_id, one in account.hubspot.write(Kind.PERSON, persons(3)).items()
    ]
    for _ in range(2):
        assert account.hubspot.link(links) == {}
    assert account.tally["associations"] == 3


@pytest.mark.parametrize("refusals", ["partial", "whole"])
def test_a_link_to_what_is_not_there_is_refused_alone(account, refusals):
    company = account.written(Kind.COMPANY, "c1", name="Engine")
    results = account.hubspot.write(Kind.PERSON, persons(20))
    links = [
        Link(our_id, one.their_id, "999999" if our_id == "p7" else company)
        for our_id, one in results.items()
    ]
    account.behave(refusals=refusals)
    refused = account.hubspot.link(links)
    assert list(refused) == ["p7"]
    assert refused["p7"].message == "One or more associations are invalid"
    assert account.tally["associations"] == 19


def test_links_that_an_answer_leaves_out_are_asked_again(account):
    company = account.written(Kind.COMPANY, "c1", name="Engine")
    results = account.hubspot.write(Kind.PERSON, persons(3))
    links = [Link(our_id, one.their_id, company) for our_id, one in results.items()]
    account.behave(fault="fewer")
    assert account.hubspot.link(links) == {}
    account.behave(fault="fewer", times=9)
    with pytest.raises(Unavailable, match="says nothing of 1 rows of 3"):
        account.hubspot.link(links)


def test_tags_are_lists_that_are_made_once_and_filled(account):
    ids = [account.plant(Kind.PERSON), account.plant(Kind.PERSON)]
    company = account.plant(Kind.COMPANY)
    tags = ["Fair / Ghent 2026", "Hot"]
    account.hubspot.tag(Kind.PERSON, ids[:1], tags)
    account.hubspot.tag(Kind.PERSON, ids, tags)
    account.hubspot.tag(Kind.COMPANY, [company], tags[:1])
    another = account.connector(PlainHttp())
    another.tag(Kind.PERSON, ids, tags)
    assert account.lists(Kind.PERSON) == {ids[0]: tags, ids[1]: tags}
    assert account.lists(Kind.COMPANY) == {company: tags[:1]}
    assert account.asked("POST /crm/v3/lists") == 3


def test_nothing_is_made_where_there_is_nobody_to_tag(account):
    account.hubspot.tag(Kind.PERSON, [], ["Hot"])
    assert account.http.exchanges == []


def test_a_list_that_was_removed_is_made_again(account):
    their_id = account.plant(Kind.PERSON)
    account.hubspot.tag(Kind.PERSON, [their_id], ["Hot"])
    lists = f"{account.url}/crm/v3/lists"
    account.http.ask(
        "DELETE", f"{lists}/1", headers={"Authorization": "Bearer x"}, body={}
    )
    account.hubspot.tag(Kind.PERSON, [their_id], ["Hot"])
    assert account.lists(Kind.PERSON) == {their_id: ["Hot"]}


def test_a_list_that_fills_itself_is_nobodys_tag(account):
    account.http.ask(
        "POST",
        f"{account.url}/crm/v3/lists",
        headers={"Authorization": "Bearer x"},
        body={"name": "Hot", "objectTypeId": "0-1", "processingType": "DYNAMIC"},
    )
    with pytest.raises(Misconfigured, match="no static list 'Hot'"):
        account.hubspot.tag(Kind.PERSON, [account.plant(Kind.PERSON)], ["Hot"])


@pytest.mark.parametrize("named", ["grace@acme.example", "Grace@ACME.example", "72"])
def test_an_owner_is_named_by_address_or_id(account, named):
    assert account.hubspot.owner(named) == "72"


def test_an_owner_is_named_by_first_and_last_name(account):
    assert account.hubspot.owner("grace hopper") == "72"


@pytest.mark.parametrize(
    ("named", "many"),
    [("Alex Kim", "several owners"), ("Nobody", "no owner"), ("", "no owner")],
)
def test_an_owner_must_be_one(account, named, many):
    with pytest.raises(Misconfigured, match=many) as caught:
        account.hubspot.owner(named)
    assert caught.value.code == "unknown_owner"


def test_fields_say_what_may_be_written_and_which_values_are_taken(account):
    fields = account.hubspot.fields(Kind.PERSON)
    assert set(account.hubspot.defaults[Kind.PERSON].values()) < set(fields)
    assert fields["lifecyclestage"].options[0] == "subscriber"
    assert fields["hubspot_owner_id"].options == ()
    assert not fields["email"].read_only
    assert fields["createdate"].read_only
    companies = account.hubspot.fields(Kind.COMPANY)
    assert set(account.hubspot.defaults[Kind.COMPANY].values()) < set(companies)
    assert companies["num_associated_contacts"].read_only


def test_a_domain_of_more_companies_than_can_be_read_is_nobodys_and_hides_no_other(
    account,
):
    account.behave(searches=100)
    common = [{"domain": "common.example"}] * 1_001
    account.plant_all(Kind.COMPANY, common)
    there = account.plant(Kind.COMPANY, domain="engine.example")
    wanted = [
        Wanted(id=one, fields={}, match=f"{one}.example")
        for one in ("common", "engine")
    ]
    found = account.hubspot.find(Kind.COMPANY, wanted)
    assert isinstance(found["common"], Ambiguous)
    assert found["engine"].their_id == there
