"""Salesforce by its connector alone, over real HTTP: what the contract does not say."""

import httpx
import pytest

from tests.connections.connectors.salesforce_org import KEY, UPSERT, rejected, rows_of
from worker.connections.connectors.connector import (
    Ambiguous,
    Existing,
    Kind,
    Row,
    Wanted,
    Written,
)
from worker.connections.connectors.errors import Misconfigured, Throttled, Unavailable


def test_one_value_that_breaks_the_request_off_lets_all_others_in(org):
    results = org.salesforce.write(Kind.PERSON, rows_of(100, p61={"Size__c": "many"}))
    (why,) = rejected(results).values()
    assert (set(rejected(results)), why.code) == ({"p61"}, "invalid_value")
    assert org.tally["contacts"] == 99
    assert org.asked(UPSERT) <= 16


@pytest.mark.parametrize("count", [40, 250])
def test_rows_that_somebody_else_has_locked_land_in_the_end(org, count):
    org.behave(fault="locked", times=2)
    results = org.salesforce.write(Kind.PERSON, rows_of(count))
    assert all(isinstance(one, Written) and one.created for one in results.values())
    assert org.tally["contacts"] == count
    assert org.waits


def test_rows_that_stay_locked_are_left_for_later(org):
    org.behave(fault="locked", times=99)
    with pytest.raises(Unavailable):
        org.salesforce.write(Kind.PERSON, rows_of(8))
    org.behave()
    assert len(org.salesforce.write(Kind.PERSON, rows_of(8))) == 8
    assert org.tally["contacts"] == 8


_OF_OTHERS = "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "CANNOT_EXECUTE_FLOW_TRIGGER"
_LIMITS = [
    *(
        (code, words)
        for code in _OF_OTHERS
        for words in (
            "Roll: System.LimitException: Too many SOQL queries: 101",
            "Apex CPU time limit exceeded",
            "npsp: Too many query rows: 50001",
            "Apex heap size too large: 6000001",
            "Too many DML statements: 151",
        )
    ),
    ("REQUEST_RUNNING_TOO_LONG", "Your request was running for too long"),
    ("UNKNOWN_EXCEPTION", "System.LimitException: Too many SOQL queries: 101"),
]


@pytest.mark.parametrize(("code", "words"), _LIMITS)
def test_rows_that_hit_a_limit_together_go_in_when_they_are_fewer(org, code, words):
    org.configure(crowd=[3, code, words])
    results = org.salesforce.write(Kind.PERSON, rows_of(12))
    assert not rejected(results)
    assert org.tally["contacts"] == 12
    assert org.asked(UPSERT) <= 7


def test_a_row_that_hits_a_limit_alone_is_left_for_later_and_never_rejected(org):
    org.salesforce.write(Kind.PERSON, rows_of(1))
    org.configure(crowd=[0, *_LIMITS[0]])
    with pytest.raises(Unavailable, match="Too many SOQL") as caught:
        org.salesforce.write(Kind.PERSON, rows_of(2))
    assert caught.value.parks_as == "limit_exceeded"
    org.configure(crowd=None)
    assert not rejected(org.salesforce.write(Kind.PERSON, rows_of(2)))


@pytest.mark.parametrize("code", _OF_OTHERS)
def test_a_lock_that_an_orgs_own_automation_met_is_no_rows_fault(org, code):
    org.configure(crowd=[0, code, "Roll: UNABLE_TO_LOCK_ROW, unable to obtain"])
    org.on_wait = lambda _: org.configure(crowd=None)
    assert not rejected(org.salesforce.write(Kind.PERSON, rows_of(3)))


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
    (why,) = org.salesforce.write(Kind.PERSON, rows_of(1)).values()
    assert (why.code, there in (why.link or "")) == ("duplicate", True)
    (result,) = (
        org.connector(allow_duplicates="true").write(Kind.PERSON, rows_of(1)).values()
    )
    assert isinstance(result, Written)


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
    org.salesforce.write(Kind.PERSON, rows_of(150))
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
    rows = rows_of(3, p1={"Shoe__c": "44"})
    with pytest.raises(Misconfigured, match="Shoe__c") as caught:
        org.salesforce.write(Kind.PERSON, rows)
    assert caught.value.code == "unknown_field"


def test_one_row_that_may_not_be_written_is_rejected_and_the_others_go_in(org):
    org.configure(fields={"Account": {"IsPersonAccount": {"type": "boolean"}}})
    person = org.plant(Kind.COMPANY, Name="Ada Byron", IsPersonAccount=True)
    company = org.plant(Kind.COMPANY, Name="Engine")
    results = org.salesforce.write(
        Kind.COMPANY,
        [
            Row(id="c1", fields={"Name": "A"}, their_id=person),
            Row(id="c2", fields={"Name": "B"}, their_id=company),
        ],
    )
    assert set(rejected(results)) == {"c1"}
    assert isinstance(results["c2"], Written)
    alone = org.salesforce.write(
        Kind.COMPANY, [Row(id="c1", fields={"Name": "A"}, their_id=person)]
    )
    assert set(rejected(alone)) == {"c1"}


def test_a_field_that_no_row_may_be_written_to_stops_the_push(org):
    org.configure(fields={"Contact": {"Email": {"updateable": False}}})
    with pytest.raises(Misconfigured, match="Email") as caught:
        org.salesforce.write(Kind.PERSON, rows_of(3))
    assert caught.value.code == "unknown_field"


@pytest.mark.parametrize(
    ("code", "count"),
    [("STORAGE_LIMIT_EXCEEDED", 1), ("INSUFFICIENT_ACCESS_OR_READONLY", 3)],
)
def test_an_org_that_takes_no_row_stops_the_push_and_rejects_nobody(org, code, count):
    org.configure(troubles={"Contact": code})
    with pytest.raises(Misconfigured) as caught:
        org.salesforce.write(Kind.PERSON, rows_of(count))
    assert caught.value.code == "forbidden"


def test_an_accident_inside_salesforce_is_no_rows_fault(org):
    org.configure(troubles={"Contact": "UNKNOWN_EXCEPTION"})
    with pytest.raises(Unavailable):
        org.salesforce.write(Kind.PERSON, rows_of(2))


def test_a_row_that_a_trigger_keeps_failing_at_is_rejected_where_others_go_in(org):
    org.salesforce.write(Kind.PERSON, rows_of(1))
    org.configure(troubles={"Contact": "UNKNOWN_EXCEPTION"})
    results = org.salesforce.write(Kind.PERSON, rows_of(2))
    assert {k: v.code for k, v in rejected(results).items()} == {"p1": "invalid_value"}


def test_a_person_account_is_no_company(org):
    org.configure(fields={"Account": {"IsPersonAccount": {"type": "boolean"}}})
    org.plant(Kind.COMPANY, Name="A", Website="engine.example", IsPersonAccount=True)
    assert org.found(Kind.COMPANY, match="engine.example") is None
    there = org.plant(Kind.COMPANY, Name="B", Website="engine.example")
    assert org.found(Kind.COMPANY, match="engine.example").their_id == there


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
    assert not rejected(org.salesforce.write(Kind.PERSON, rows))
    shown = org.records()
    assert shown[placed]["AccountId"] == (theirs if keeps else ours)
    assert shown[free]["AccountId"] == ours


@pytest.mark.parametrize("type_", ["Topic", "TopicAssignment"])
def test_a_tag_that_nobody_may_give_is_told(org, type_):
    their_id = org.plant(Kind.PERSON, LastName="A")
    org.configure(troubles={type_: "INSUFFICIENT_ACCESS_OR_READONLY"})
    with pytest.raises(Misconfigured, match="New") as caught:
        org.salesforce.tag(Kind.PERSON, [their_id], ["New"])
    assert caught.value.code == "forbidden"


@pytest.mark.parametrize(
    ("words", "until_s", "daily"),
    [
        ("TotalRequests Limit exceeded.", 3_600, True),
        ("ConcurrentPerOrgLongTxn Limit exceeded.", 10, False),
    ],
)
def test_only_the_limit_of_the_day_is_waited_for_long(org, words, until_s, daily):
    org.configure(troubles={"requests": words})
    with pytest.raises(Throttled, match="exceeded") as caught:
        org.salesforce.test()
    assert (caught.value.until_s, caught.value.daily) == (until_s, daily)


def test_an_org_that_has_moved_has_to_be_named_anew(org):
    org.configure(troubles={"host": "https://new.my.salesforce.com/"})
    with pytest.raises(Misconfigured, match="https://new"):
        org.salesforce.test()


@pytest.mark.parametrize(
    "about",
    [
        None,
        {"externalId": False},
        {"unique": False},
        {"caseSensitive": False},
        {"length": 80},
        {"createable": False},
        {"updateable": False},
    ],
)
def test_a_key_that_cannot_be_one_is_told_to_the_admin(org, about):
    org.salesforce.prepare()
    org.configure(fields={"Contact": {KEY: about}})
    with pytest.raises(Misconfigured, match=KEY) as caught:
        org.connector().prepare()
    assert caught.value.code == "unknown_field"


@pytest.mark.parametrize("flag", ["HasOptedOutOfEmail", "DoNotCall"])
def test_a_flag_that_nobody_sees_stops_the_push_unless_that_is_meant(org, flag):
    org.configure(fields={"Contact": {flag: None}})
    for ask in (org.salesforce.prepare, lambda: org.found(Kind.PERSON, match="a@b.c")):
        with pytest.raises(Misconfigured, match=flag) as caught:
            ask()
        assert caught.value.code == "forbidden"
    org.connector(without_consent_flags="true").prepare()


def test_an_open_picklist_offers_its_values_and_takes_others(org):
    fields = org.salesforce.fields(Kind.PERSON)
    source, rating = fields["LeadSource"], fields["Rating__c"]
    assert (source.options, source.takes("Elsewhere")) == (("Web", "Fair"), True)
    assert (rating.is_open, rating.takes("Elsewhere")) == (False, False)


def test_a_user_name_is_preferred_and_ids_may_be_short(org):
    ada = org.salesforce.owner("ada@ours.example")
    org.plant_user(Email="ada@ours.example", Username="ada2@ours.example", Name="Ada 2")
    assert org.salesforce.owner("ada@ours.example") == ada
    assert {org.salesforce.owner(ada), org.salesforce.owner(ada[:15])} == {ada}
    there = org.plant(Kind.PERSON, LastName="A")
    assert org.found(Kind.PERSON, their_id=there[:15]).their_id == there


def test_a_value_of_several_lines_is_asked_for_as_it_is(org):
    there = org.plant(Kind.PERSON, LastName="A", Email="a\nb\t@c.example")
    assert org.found(Kind.PERSON, match="a\nb\t@c.example").their_id == there


def test_an_address_of_more_contacts_than_can_be_read_is_nobodys_and_hides_no_other(
    org,
):
    org.plant_all(Kind.PERSON, [{"LastName": "A", "Email": "i@c.example"}] * 2_001)
    there = org.plant(Kind.PERSON, LastName="B", Email="b@c.example")
    wanted = [Wanted(id=one, fields={}, match=f"{one}@c.example") for one in "ib"]
    found = org.salesforce.find(Kind.PERSON, wanted)
    assert isinstance(found["i"], Ambiguous)
    assert found["b"].their_id == there
