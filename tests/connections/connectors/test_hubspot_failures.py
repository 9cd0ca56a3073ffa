"""Failures that others published, and those of the connection: what comes of them."""

import math
from collections import deque
from functools import partial

import pytest

from tests.connections.connectors.plain_http import (
    SCREENS,
    UPDATE,
    UPSERT,
    PlainHttp,
    persons,
)
from worker.connections.connectors.connector import (
    Existing,
    Kind,
    Rejected,
    Row,
    Wanted,
    Written,
)
from worker.connections.connectors.errors import (
    Misconfigured,
    Throttled,
    Unauthorized,
    Unavailable,
)


def test_of_a_207_the_rows_it_names_are_rejected_and_all_others_written(account):
    bad = {f"p{n}": {"email": f"no address {n}"} for n in (3, 50, 99)}
    results = account.hubspot.write(Kind.PERSON, persons(100, **bad))
    rejected = {k: v for k, v in results.items() if isinstance(v, Rejected)}
    assert set(rejected) == set(bad)
    assert rejected["p50"] == Rejected(
        code="invalid_email",
        message="Email address no address 50 is invalid",
        field="email",
    )
    assert account.tally["contacts"] == 97
    assert account.asked(UPSERT) == 1


def test_one_conflict_in_a_hundred_lets_99_through_and_is_named(account):
    other = account.written(Kind.PERSON, "q1", email="taken@engine.example")
    before = account.asked(UPSERT)
    account.behave(refusals="whole")
    taken = {"p61": {"email": "taken@engine.example"}}
    results = account.hubspot.write(Kind.PERSON, persons(100, **taken))
    rejected = {k: v for k, v in results.items() if isinstance(v, Rejected)}
    assert rejected == {
        "p61": Rejected(
            code="conflict",
            message=f"Contact already exists. Existing ID: {other}",
            link=f"{SCREENS}/0-1/{other}",
        )
    }
    assert account.tally["contacts"] == 100
    assert account.asked(UPSERT) - before <= 2 * math.log2(100) + 2


def test_a_batch_that_is_discarded_for_its_bad_rows_lets_the_good_ones_through(account):
    bad = {"p3": {"lifecyclestage": "nonsense"}, "p31": {"email": "no address"}}
    account.behave(refusals="whole")
    results = account.hubspot.write(Kind.PERSON, persons(40, **bad))
    rejected = {k: v for k, v in results.items() if isinstance(v, Rejected)}
    assert {our_id: (one.code, one.field) for our_id, one in rejected.items()} == {
        "p3": ("invalid_option", "lifecyclestage"),
        "p31": ("invalid_email", "email"),
    }
    assert account.tally["contacts"] == 38


def test_the_first_conflict_is_not_taken_for_the_only_one(account):
    taken = {f"p{n}": {"email": f"t{n}@engine.example"} for n in (2, 3, 17)}
    for our_id, fields in taken.items():
        account.written(Kind.PERSON, f"q-{our_id}", **fields)
    account.behave(refusals="whole")
    results = account.hubspot.write(Kind.PERSON, persons(20, **taken))
    rejected = {k for k, v in results.items() if isinstance(v, Rejected)}
    assert rejected == set(taken)
    assert account.tally["contacts"] == 20


@pytest.mark.parametrize("refusals", ["partial", "whole"])
def test_a_contact_that_nobody_saw_in_time_is_adopted_when_its_address_is_taken(
    account, refusals
):
    account.behave(refusals=refusals, lag_ms=60_000)
    theirs = account.plant(Kind.PERSON, email="n4@engine.example", phone="1")
    results = account.hubspot.write(Kind.PERSON, persons(10))
    link = f"{SCREENS}/0-1/{theirs}"
    assert results["p4"] == Written(their_id=theirs, created=False, link=link)
    assert account.tally["contacts"] == 10
    assert account.records(Kind.PERSON)[theirs] == {
        "email": "n4@engine.example",
        "phone": "1",
        "firstname": "N4",
        "holdfast_id": "p4",
    }


@pytest.mark.parametrize("refusals", ["partial", "whole"])
def test_of_two_persons_with_one_address_the_second_is_a_conflict_with_the_first(
    account, refusals
):
    account.behave(refusals=refusals)
    same = {f"p{n}": {"email": "both@engine.example"} for n in (2, 5)}
    results = account.hubspot.write(Kind.PERSON, persons(8, **same))
    first, second = results["p2"], results["p5"]
    assert isinstance(first, Written)
    assert (second.code, second.link) == ("conflict", first.link)
    assert account.records(Kind.PERSON)[first.their_id]["holdfast_id"] == "p2"


def test_a_contact_is_not_adopted_by_one_while_it_is_known_as_another(account):
    theirs = account.plant(Kind.PERSON, email="ada@engine.example")
    rows = [
        Row(id="p1", fields={"email": "ada@engine.example"}),
        Row(id="p2", fields={"firstname": "Ada"}, their_id=theirs),
    ]
    results = account.hubspot.write(Kind.PERSON, rows)
    assert results["p1"].code == "conflict"
    assert account.records(Kind.PERSON)[theirs]["holdfast_id"] == "p2"


def test_what_was_just_written_is_found_though_the_search_does_not_see_it(account):
    account.behave(lag_ms=60_000)
    their_id = account.written(Kind.PERSON, "w", email="ada@engine.example")
    person = account.found(Kind.PERSON, match="ada@engine.example")
    assert isinstance(person, Existing)
    assert (person.their_id, person.has_key) == (their_id, True)
    account.written(Kind.COMPANY, "w", domain="engine.example")
    assert isinstance(account.found(Kind.COMPANY, match="engine.example"), Existing)
    assert account.asked("POST /crm/v3/objects/contacts/search") == 0
    assert account.asked("POST /crm/v3/objects/companies/search") == 0


def test_our_key_on_another_record_is_a_conflict_with_a_link_to_it(account):
    holder = account.written(Kind.COMPANY, "c1", name="Engine")
    other = account.plant(Kind.COMPANY)
    row = Row(id="c1", fields={}, their_id=other)
    (result,) = account.hubspot.write(Kind.COMPANY, [row]).values()
    assert (result.code, result.field) == ("conflict", "holdfast_id")
    assert result.link == f"{SCREENS}/0-2/{holder}"


def test_rows_that_an_answer_leaves_out_are_written_again_by_their_key(account):
    account.behave(fault="fewer", times=2)
    results = account.hubspot.write(Kind.PERSON, persons(10))
    assert all(isinstance(one, Written) for one in results.values())
    assert account.tally["contacts"] == 10
    assert account.asked(UPSERT) == 3


def test_rows_that_no_answer_tells_of_are_in_doubt_and_not_written(account):
    account.behave(fault="fewer", times=9)
    with pytest.raises(Unavailable, match="says nothing of 1 rows of 10"):
        account.hubspot.write(Kind.PERSON, persons(10))
    account.behave()
    assert len(account.hubspot.write(Kind.PERSON, persons(10))) == 10
    assert account.tally["contacts"] == 10


def test_updates_that_an_answer_leaves_out_are_asked_again(account):
    ids = [account.plant(Kind.PERSON) for _ in range(3)]
    rows = [Row(id=f"p{id_}", fields={}, their_id=id_) for id_ in ids]
    account.behave(fault="fewer")
    results = account.hubspot.write(Kind.PERSON, rows)
    assert {one.their_id for one in results.values()} == set(ids)
    assert account.asked(UPDATE) == 2


def test_every_batch_keeps_its_wrapper_also_when_it_is_sent_again(account):
    account.behave(fault="fewer", refusals="whole")
    bad = {"p3": {"email": "no address"}}
    account.hubspot.write(Kind.PERSON, persons(10, **bad))
    batches = [one for one in account.http.exchanges if "/batch/" in one.path]
    assert len(batches) > 4
    assert all(one.body["inputs"] for one in batches)


def test_records_are_only_told_apart_by_what_is_unique(account):
    account.hubspot.write(Kind.PERSON, persons(2))
    account.hubspot.write(Kind.COMPANY, [Row(id="c1", fields={"domain": "x.example"})])
    for kind in Kind:
        account.found(kind, match="x.example", their_id="5")
    named = {
        place["idProperty"]
        for one in account.http.exchanges
        for place in (one.body, *one.body.get("inputs", ()))
        if "idProperty" in place
    }
    assert named == {"email", "holdfast_id"}


def test_only_strings_are_sent_as_values(account):
    account.hubspot.write(Kind.PERSON, persons(2, p0={"phone": ""}))
    (sent,) = account.http.exchanges
    for one in sent.body["inputs"]:
        assert all(type(value) is str for value in one["properties"].values())


def test_a_field_that_hubspot_does_not_have_stops_the_push_at_once(account):
    with pytest.raises(Misconfigured, match='"shoe_size" does not exist') as caught:
        account.hubspot.write(Kind.PERSON, persons(50, p7={"shoe_size": "44"}))
    assert caught.value.code == "unknown_field"
    assert account.asked(UPSERT) == 1
    assert account.tally["contacts"] == 0


# -- Failures of the connection.


def test_a_429_is_not_retried_and_says_when_the_window_is_over(account):
    account.behave(limit=len(account.tally["times"]), window_s=60)
    with pytest.raises(Throttled, match="ten_secondly_rolling") as caught:
        account.hubspot.write(Kind.PERSON, persons(1))
    assert (caught.value.until_s, caught.value.daily) == (60, False)
    assert len(account.http.exchanges) == account.tally["refused"] == 1


def test_a_days_budget_that_is_used_up_is_told_from_a_window(account):
    account.behave(daily=len(account.tally["times"]))
    with pytest.raises(Throttled) as caught:
        account.hubspot.write(Kind.PERSON, persons(1))
    assert (caught.value.until_s, caught.value.daily) == (3_600, True)


def test_the_searchs_own_limit_is_over_after_a_second(account):
    look = partial(account.found, Kind.COMPANY, match="engine.example")
    with pytest.raises(Throttled) as caught:
        deque((look() for _ in range(30)), maxlen=0)
    assert (caught.value.until_s, caught.value.daily) == (1, False)


def test_what_hubspot_says_of_its_limit_is_passed_on_with_every_answer(account):
    account.behave(limit=50, window_s=5)
    used = len(account.tally["times"])
    account.hubspot.write(Kind.PERSON, persons(1))
    account.hubspot.fields(Kind.PERSON)
    assert [tuple(limit) for limit in account.http.limits] == [
        (50, 5.0, 50 - used - 1),
        (50, 5.0, 50 - used - 2),
    ]


@pytest.mark.parametrize("fault", ["server_error", "garbled"])
def test_no_usable_answer_leaves_all_rows_in_doubt(account, fault):
    account.behave(fault=fault)
    with pytest.raises(Unavailable):
        account.hubspot.write(Kind.PERSON, persons(2))


def test_what_was_written_before_the_answer_was_lost_is_there_once(account):
    account.behave(fault="cut")
    with pytest.raises(Unavailable):
        account.hubspot.write(Kind.PERSON, persons(5))
    assert account.tally["contacts"] == 5
    results = account.hubspot.write(Kind.PERSON, persons(5))
    assert [one.created for one in results.values()] == [False] * 5
    assert account.tally["contacts"] == 5


def test_an_answer_that_takes_too_long_leaves_all_rows_in_doubt(account):
    impatient = account.connector(PlainHttp(timeout_s=0.3))
    impatient.find(Kind.PERSON, [])
    account.behave(fault="slow", slow_ms=600)
    with pytest.raises(Unavailable):
        impatient.write(Kind.PERSON, persons(2))


def test_a_token_that_is_not_taken_says_so_and_is_not_shown(account):
    revoked = account.connector(PlainHttp(token="revoked"))
    for ask in (revoked.test, revoked.prepare, lambda: revoked.owner("72")):
        with pytest.raises(Unauthorized) as caught:
            ask()
        assert "revoked" not in str(caught.value)


def test_a_token_without_the_rights_is_told_from_a_wrong_one(account):
    unscoped = account.connector(PlainHttp(token="unscoped"))
    with pytest.raises(Misconfigured, match="scopes") as caught:
        unscoped.test()
    assert caught.value.code == "forbidden"
    with pytest.raises(Misconfigured, match="scopes"):
        unscoped.find(Kind.PERSON, [Wanted(id="p1", fields={})])
    account.hubspot.test()
