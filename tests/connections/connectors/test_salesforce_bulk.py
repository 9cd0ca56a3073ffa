"""Salesforce by Bulk API 2.0: ingest jobs, and what becomes of them."""

import csv
from threading import Event
from typing import Any

import httpx
import pytest

from tests.connections.connectors.plain_http import PlainHttp
from tests.connections.connectors.salesforce_org import KEY, UPSERT, rejected, rows_of
from worker.connections.connectors.connector import Access, Kind, Reply, Row, Written
from worker.connections.connectors.errors import Misconfigured, Throttled, Unavailable
from worker.connections.connectors.salesforce.connector import Salesforce
from worker.infrastructure.clock import wait

JOBS = "POST /services/data/v62.0/jobs/ingest"


@pytest.fixture
def bulk(org):
    return org.connector(bulk_above=1)


def _really(pause_s: float) -> None:
    wait(Event(), pause_s)


def test_more_rows_than_a_call_takes_go_by_one_ingest_job(org):
    org.behave(finish_ms=200)
    # The server works while the connector waits, so its pauses are real ones.
    org.on_wait = _really
    rows = rows_of(300, p7={"Email": "no address"}, p9={"Title": ""})
    results = org.salesforce.write(Kind.PERSON, rows)
    assert {k: (v.code, v.field) for k, v in rejected(results).items()} == {
        "p7": ("invalid_email", "Email")
    }
    assert org.tally["jobs"] == 1
    assert org.asked(UPSERT) == 0
    again = org.salesforce.write(Kind.PERSON, rows)
    assert not any(one.created for one in again.values() if isinstance(one, Written))


def test_an_ingest_job_that_leaves_rows_out_is_followed_by_another(org):
    org.behave(fault="fewer", times=1)
    results = org.salesforce.write(Kind.PERSON, rows_of(250))
    assert len(results) == 250
    assert org.tally["jobs"] == 2


def test_more_rows_than_the_connection_says_go_by_an_ingest_job(org, bulk):
    results = bulk.write(Kind.PERSON, rows_of(2))
    assert all(isinstance(one, Written) for one in results.values())
    assert (org.tally["jobs"], org.asked(UPSERT)) == (1, 0)
    bulk.write(Kind.PERSON, rows_of(1))
    assert (org.tally["jobs"], org.asked(UPSERT)) == (1, 1)


def test_contacts_of_one_account_are_beside_each_other_in_a_job_too(org, bulk):
    accounts = [org.plant(Kind.COMPANY, Name=f"A{n}") for n in range(3)]
    rows = [
        Row(id=f"p{n}", fields={"LastName": "x"}, company_their_id=accounts[n % 3])
        for n in range(12)
    ]
    bulk.write(Kind.PERSON, rows)
    (sent,) = [one.body for one in org.http.exchanges if one.method == "PUT"]
    order = [line["AccountId"] for line in csv.DictReader(sent.decode().splitlines())]
    assert order == sorted(order)
    assert len(order) == 12


@pytest.mark.parametrize("above", [1, 200])
def test_two_upserts_of_one_new_key_at_the_same_time_make_one_record(org, bulk, above):
    org.behave(finish_ms=1_000)
    second: dict[str, Any] = {}

    def overlap(_: float) -> None:
        org.on_wait = _really
        second.update(org.connector(bulk_above=above).write(Kind.PERSON, rows_of(20)))

    org.on_wait = overlap
    first = bulk.write(Kind.PERSON, rows_of(20))
    assert not rejected(first | second)
    assert (len(first), len(second), org.tally["contacts"]) == (20, 20, 20)
    said = b"".join(one.reply.content for one in org.http.exchanges)
    assert b"DUPLICATE_VALUE" in said


def test_a_key_that_stays_taken_is_a_conflict_of_its_row_alone(org):
    org.configure(fields={"Contact": {"Holdfast_Id__c": {"caseSensitive": False}}})
    hidden = org.plant(Kind.PERSON, LastName="A", Holdfast_Id__c="p0")
    org.configure(hidden=[hidden])
    results = org.salesforce.write(Kind.PERSON, rows_of(3))
    assert {k: v.code for k, v in rejected(results).items()} == {"p0": "conflict"}


def test_a_job_that_is_given_up_is_aborted(org, bulk):
    org.behave(finish_ms=2_000)

    def disturb(_: float) -> None:
        org.on_wait = lambda _: None
        org.behave(fault="server_error", times=4, finish_ms=2_000)

    org.on_wait = disturb
    with pytest.raises(Unavailable):
        bulk.write(Kind.PERSON, rows_of(40))
    last = org.http.exchanges[-1]
    assert (last.body, last.reply.status) == ({"state": "Aborted"}, 200)
    assert org.tally["contacts"] < 40


def test_an_answer_that_is_lost_while_a_job_runs_gives_nothing_up(org, bulk):
    org.behave(finish_ms=200)

    def disturb(_: float) -> None:
        org.on_wait = _really
        org.behave(fault="server_error", times=2, finish_ms=200)

    org.on_wait = disturb
    assert not rejected(bulk.write(Kind.PERSON, rows_of(20)))
    assert (org.tally["jobs"], org.tally["contacts"]) == (1, 20)


def test_a_limit_of_requests_at_once_is_waited_for_while_a_job_goes_on(org, bulk):
    org.behave(finish_ms=200)

    def free(_: float) -> None:
        org.on_wait = _really
        org.configure(troubles={"requests": None})

    def limit(_: float) -> None:
        org.on_wait = free
        org.configure(troubles={"requests": "ConcurrentRequests Limit exceeded."})

    org.on_wait = limit
    assert not rejected(bulk.write(Kind.PERSON, rows_of(20)))
    assert (org.waits[1], org.tally["jobs"], org.tally["aborted"]) == (10.0, 1, 0)


class _Lost(Exception):
    """The chunk is somebody else's."""


class _FencedHttp(PlainHttp):
    """The client of a worker that loses its chunk while a job runs."""

    def ask(self, method: str, url: str, **given: Any) -> Reply:
        if method == "GET" and not given["undoes"]:
            raise _Lost
        return super().ask(method, url, **given)


def test_a_worker_that_has_lost_its_chunk_aborts_its_job(org):
    org.behave(finish_ms=2_000)
    http = _FencedHttp()
    url = {"url": f"{org.sandbox.url}/salesforce", "bulk_above": 1}
    fenced = Salesforce(http, Access(settings=url, secrets={}), _really)
    with pytest.raises(_Lost):
        fenced.write(Kind.PERSON, rows_of(40))
    assert http.exchanges[-1].body == {"state": "Aborted"}
    assert http.exchanges[-1].reply.json["state"] == "Aborted"


def test_polls_of_a_long_job_are_far_apart(org, bulk):
    org.behave(finish_ms=60_000)
    org.on_wait = lambda _: org.abort_all() if len(org.waits) == 20 else None
    with pytest.raises(Unavailable):
        bulk.write(Kind.PERSON, rows_of(2))
    assert (org.waits[0], org.waits[-1]) == (0.1, 10.0)


def test_a_job_that_an_admin_aborts_is_not_begun_again_at_once(org, bulk):
    org.behave(finish_ms=2_000)
    org.on_wait = lambda _: org.abort_all()
    with pytest.raises(Unavailable, match="aborted") as caught:
        bulk.write(Kind.PERSON, rows_of(40))
    assert caught.value.until_s
    assert org.asked(JOBS) == 1


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("FEATURENOTENABLED", Misconfigured),
        ("EXCEEDEDQUOTA", Throttled),
        ("INVALIDJOBSTATE", Unavailable),
    ],
)
def test_a_job_that_is_refused_is_no_rows_fault(org, bulk, code, error):
    org.configure(troubles={"job": code})
    with pytest.raises(error):
        bulk.write(Kind.PERSON, rows_of(40))
    assert org.asked(JOBS) == 1


def test_a_column_that_salesforce_does_not_have_fails_the_job_and_stops_the_push(
    org, bulk
):
    with pytest.raises(Misconfigured, match="Shoe__c") as caught:
        bulk.write(Kind.PERSON, rows_of(3, p1={"Shoe__c": "44"}))
    assert caught.value.code == "unknown_field"
    assert org.asked(UPSERT) == 0


def test_rows_of_a_job_that_has_failed_go_by_calls(org, bulk):
    org.configure(troubles={"batch": "InternalServerError : try again"})
    results = bulk.write(Kind.PERSON, rows_of(40))
    assert all(isinstance(one, Written) and one.created for one in results.values())
    assert (org.tally["jobs"], org.tally["contacts"]) == (1, 40)


def test_what_a_duplicate_rule_keeps_out_of_a_job_is_told_as_a_call_tells_it(org, bulk):
    there = org.plant(Kind.PERSON, LastName="Ada", Email="n1@engine.example")
    why = rejected(bulk.write(Kind.PERSON, rows_of(9)))["p1"]
    assert (why.code, there in (why.link or "")) == ("duplicate", True)
    allowing = org.connector(bulk_above=1, allow_duplicates="true")
    assert not rejected(allowing.write(Kind.PERSON, rows_of(9)))
    assert org.asked(UPSERT) == 2


def test_a_row_of_a_job_is_rejected_with_the_words_alone(org, bulk):
    gone = Row(id="p9", fields={"Title": "x"}, their_id="003000000009999AAA")
    there = Row(id="p8", fields={"Title": "x"}, their_id=org.plant(Kind.PERSON))
    why = rejected(bulk.write(Kind.PERSON, [gone, there]))["p9"]
    assert (why.code, why.message, why.field) == (
        "not_found",
        "entity is deleted",
        None,
    )


@pytest.mark.parametrize(
    "title", ["VP\rSales", "VP\nSales", 'VP "x", y', "VP\u2028Sales", "a\x0bb\x85c"]
)
def test_whatever_ends_a_line_for_some_reader_stays_in_its_cell(org, bulk, title):
    results = bulk.write(Kind.PERSON, rows_of(5, p1={"Title": title}))
    assert not rejected(results)
    assert {one.get("Title") for one in org.records().values()} == {None, title}
    assert org.tally["jobs"] == 1


def test_what_would_clear_a_field_by_a_job_is_written_as_the_text_it_is(org, bulk):
    results = bulk.write(Kind.PERSON, rows_of(5, p1={"Title": "#N/A"}))
    assert not rejected(results)
    assert {one.get("Title") for one in org.records().values()} == {None, "#N/A"}
    assert org.tally["jobs"] == 1


def test_a_job_that_cannot_be_read_fails_and_does_not_go_on_for_ever(org):
    jobs = f"{org.sandbox.url}/salesforce/services/data/v62.0/jobs/ingest"
    token = {"Authorization": "Bearer t"}
    wanted = {"object": "Contact", "operation": "upsert", "externalIdFieldName": KEY}
    job = httpx.post(jobs, json=wanted, headers=token).json()["id"]
    content = f"{KEY},Title\nc1,VP\rSales\n".encode()
    headers = token | {"Content-Type": "text/csv"}
    httpx.put(f"{jobs}/{job}/batches", content=content, headers=headers)
    done = {"state": "UploadComplete"}
    httpx.patch(f"{jobs}/{job}", json=done, headers=token).raise_for_status()
    shown = httpx.get(f"{jobs}/{job}", headers=token).json()
    assert (shown["state"], "InvalidBatch" in shown["errorMessage"]) == ("Failed", True)


def test_a_job_that_comes_to_no_end_is_given_up_after_an_hour(org, bulk):
    org.behave(finish_ms=3_600_000)
    with pytest.raises(Unavailable, match="end"):
        bulk.write(Kind.PERSON, rows_of(3))
    assert 3_500 < sum(org.waits) < 3_700
    assert org.tally["aborted"] == 1
