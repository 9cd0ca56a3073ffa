"""Pushes to a customer's own endpoint: what was sent in full is delivered."""

import json

import httpx
import pytest
from standardwebhooks import Webhook as Standard
from stripe import WebhookSignature

from pricing.plans import Item
from tests.support import job_runs
from tests.support.push_runs import (
    connect,
    contact,
    counts,
    die_after_sending,
    let_go,
    outcomes_of,
    push,
    run,
    submit,
)
from tests.support.receivers import Reply, receiver
from worker.connections import connections
from worker.infrastructure.message_signatures import SIGNATURE, new_secret
from worker.sandbox.webhook import SECRET


@pytest.fixture
def connection(house, sandbox):
    secrets = {"signing_secret": SECRET}
    return connect(house, "webhook", {"url": f"{sandbox.url}/webhook"}, secrets)


def _shown(sandbox, kind):
    url = f"{sandbox.url}/_sandbox/webhook/records"
    return {one["id"]: one for one in httpx.get(url, params={"type": kind}).json()}


def test_records_arrive_signed_with_what_was_found_and_are_paid_for(
    house, sandbox, connection
):
    job_runs.know(house, "p1")
    records = [contact("c1", "p1", company_domain="one.example", shoe="44")]
    mapping = {"person": {"person_shoe": "shoe_size"}}
    how = {"retrieve": (Item.EMAIL,), "mapping": mapping}
    report = push(house, connection, records, **how)
    assert (counts(report), report.settled) == ({"created": 1}, 2)
    person = _shown(sandbox, "contacts")["p1"]
    assert person["company_id"] == "c1"
    assert person["fields"]["email"] == "p1@example.com"
    assert person["fields"]["shoe_size"] == "44"
    assert _shown(sandbox, "companies")["c1"]["fields"]["domain"] == "one.example"
    assert sandbox.tally("webhook")["unsigned"] == 0
    again = push(house, connection, records, **how)
    assert (counts(again), again.settled) == ({"unchanged": 1}, 0)


@pytest.mark.parametrize("fault", ["refused", "server_error", "cut", "garbled"])
def test_what_was_sent_in_full_is_delivered_whatever_the_answer(
    house, sandbox, connection, fault
):
    push(house, connection, [contact("c0")])
    sandbox.behave("webhook", fault=fault, times=1 if fault == "refused" else 2)
    report = push(house, connection, [contact(f"c{n}", f"p{n}") for n in range(1, 6)])
    assert (counts(report), report.settled) == ({"created": 5}, 5)
    assert len(_shown(sandbox, "contacts")) == 5


def test_a_no_is_told_with_the_record_which_is_sent_again_next_time_for_nothing(
    house, sandbox, connection
):
    push(house, connection, [contact("c1")])
    sandbox.behave("webhook", fault="refused", times=9)
    report = push(house, connection, [contact("c1", "p1")])
    (row,) = outcomes_of(house, report.id)
    assert (row.outcome, row.code) == ("delivered", "not_acknowledged")
    assert "422" in (row.message or "")
    sandbox.behave("webhook")
    again = push(house, connection, [contact("c1", "p1")])
    assert (counts(again), again.settled) == ({"updated": 1}, 0)


def test_a_batch_that_is_sent_again_has_the_same_id(house, sandbox, connection):
    push(house, connection, [contact("c0")])
    sandbox.behave("webhook", fault="cut", times=1)
    sandbox.behave("webhook", fault="rate_limited", times=1)
    push(house, connection, [contact("c1")])
    told = sandbox.tally("webhook")
    assert (told["batches"], told["again"]) == (2, 1)


def test_what_has_changed_back_is_no_repetition_of_what_was_sent_before(
    house, sandbox, connection
):
    for name in ("A", "B", "A"):
        push(house, connection, [contact("c1", company_name=name)])
        assert _shown(sandbox, "companies")["c1"]["fields"]["name"] == name


def test_a_batch_in_doubt_is_sent_again_by_the_id_it_had(
    house, sandbox, connection, monkeypatch
):
    job_id = submit(house, connection, [contact("c1", "p1")])
    die_after_sending(house, job_id, monkeypatch)
    let_go(house, job_id)
    report = run(house, job_id)
    assert counts(report) == {"created": 1}
    told = sandbox.tally("webhook")
    assert (told["batches"], told["again"]) == (2, 2)


def test_pushes_are_signed_by_both_schemes_where_the_secret_can_be(house):
    secrets = {new_secret(): True, "free words of a customer": False}
    for secret, is_standard in secrets.items():
        with receiver() as there:
            url = {"url": there.url()}
            made = connect(house, "webhook", url, {"signing_secret": secret})
            assert connections.test(house, made).ok
            push(house, made, [contact("c1", "p1")])
            calls = there.calls
        assert len(calls) == 4
        for call in calls:
            header = call.headers[SIGNATURE]
            WebhookSignature.verify_header(call.body, header, secret, 300)
            assert ("webhook-id" in call.headers) == is_standard
            if is_standard:
                message = Standard(secret).verify(call.body, call.headers)
                assert message["id"] == call.headers["webhook-id"]


def test_each_ping_has_an_id_of_its_own(house):
    with receiver() as there:
        url = {"url": there.url()}
        for _ in range(2):
            made = connect(house, "webhook", url, {"signing_secret": "s"})
            for _ in range(2):
                assert connections.test(house, made).ok
            push(house, made, [contact("c1")])
        messages = [json.loads(call.body) for call in there.calls]
    pings = [one["id"] for one in messages if one["type"] == "push.ping"]
    assert len(pings) == len(set(pings)) == 6


def test_nothing_is_disclosed_or_paid_for_where_the_endpoint_says_no_beforehand(
    house, sandbox
):
    url = {"url": f"{sandbox.url}/webhook"}
    wrong = connect(house, "webhook", url, {"signing_secret": "another"})
    report = push(house, wrong, [contact("c1", "p1")])
    assert (report.state, report.waiting_reason) == ("paused", "not_accepted")
    assert (report.settled, _shown(sandbox, "contacts")) == (0, {})
    assert connections.test(house, wrong).code == "not_accepted"


def test_an_endpoint_that_cannot_be_reached_was_sent_nothing(house):
    nowhere = {"url": "http://127.0.0.1:9/"}
    gone = connect(house, "webhook", nowhere, {"signing_secret": "s"})
    assert connections.test(house, gone).code == "unavailable"


def test_after_the_last_try_what_was_sent_is_delivered(house):
    with receiver() as there:
        there.answer = lambda n: Reply(204 if n == 1 else 500)
        url = {"url": there.url()}
        made = connect(house, "webhook", url, {"signing_secret": "s"})
        report = push(house, made, [contact("c1")])
        assert len({call.body for call in there.calls[1:]}) == 1
        assert len(there.calls) == 4
    (row,) = outcomes_of(house, report.id)
    assert (row.outcome, row.code) == ("delivered", "not_acknowledged")
    assert report.settled == 1
