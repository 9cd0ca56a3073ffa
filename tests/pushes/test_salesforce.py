"""Pushes into Salesforce: what a worker, an account and a picklist make of them."""

from threading import Thread

import httpx
import pytest

from tests.support import job_runs
from tests.support.fleet import until
from tests.support.push_runs import (
    connect,
    contact,
    counts,
    let_go,
    push,
    run,
    run_once,
    submit,
)
from worker.jobs.sweeper import sweep


@pytest.fixture
def house(wired):
    deps = wired(crm_settle_s=0.2, lease_s=2)
    job_runs.create_license(deps, credits_granted=100_000)
    return deps


def _connect(house, sandbox, **settings):
    url = {"url": f"{sandbox.url}/salesforce"}
    return connect(house, "salesforce", url | settings, {"access_token": "token"})


def _records(count, **fields):
    return [contact(f"c{n}", f"p{n}", **fields) for n in range(count)]


def test_a_worker_that_loses_its_chunk_aborts_its_job_and_the_next_ends_the_push(
    house, sandbox
):
    sandbox.behave("salesforce", finish_ms=10_000)
    job_id = submit(house, _connect(house, sandbox, bulk_above=1), _records(12))
    worker = Thread(target=run_once, args=(house, job_id))
    worker.start()
    until(lambda: sandbox.tally("salesforce")["running"])
    let_go(house, job_id)
    worker.join()
    assert sandbox.tally("salesforce")["aborted"] == 1
    sandbox.behave("salesforce", finish_ms=0)
    report = run(house, job_id)
    assert (counts(report), report.settled) == ({"created": 12}, 12)
    tally = sandbox.tally("salesforce")
    assert (tally["companies"], tally["contacts"]) == (12, 12)


def test_a_worker_holds_on_to_its_chunk_however_far_apart_it_polls(wired, sandbox):
    house = wired(crm_settle_s=0.2, lease_s=1)
    job_runs.create_license(house, credits_granted=100_000)
    sandbox.behave("salesforce", finish_ms=4_000)
    connection = _connect(house, sandbox, bulk_above=1)
    job_id = submit(house, connection, [contact(f"c{n}") for n in range(12)])
    worker = Thread(target=run_once, args=(house, job_id))
    worker.start()

    def swept() -> bool:
        sweep(house)
        return not worker.is_alive()

    until(swept)
    assert counts(run(house, job_id)) == {"created": 12}
    tally = sandbox.tally("salesforce")
    assert (tally["jobs"], tally["companies"]) == (1, 12)


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
