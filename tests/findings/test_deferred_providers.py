"""Providers that answer later: asked once, waited for without a worker, matched."""

import hashlib
import hmac
import json
import threading
from decimal import Decimal

import httpx
import pytest
from sqlalchemy import text

from pricing.claims import lookup_digest
from pricing.plans import Item
from storage.findings import lookups
from storage.findings.lookups import Asked, NewLookup
from storage.jobs import chunks
from storage.state_machine import JobState
from tests.api.conftest import serving
from tests.findings.conftest import BOTH, KEY
from worker.findings import provider_reports
from worker.infrastructure.clock import wait

TEN = [f"p{number}" for number in range(10)]


class Killed(BaseException):
    """What a signal does: nothing after it runs."""


def die(*_, **__):
    raise Killed


@pytest.fixture
def later(house):
    """A house whose jobs ask FullEnrich."""
    house.deps = house.another(providers="directory,fullenrich")
    return house


def test_a_chunk_waits_for_its_answer_without_a_worker(later):
    later.sandbox.behave("fullenrich", finish_ms=300)
    job_id = later.submit(TEN, retrieve=BOTH)
    report = later.turn(job_id)
    assert (report.state, report.waiting_reason) == (JobState.RUNNING, "lookup")
    assert report.waiting_until is not None
    assert (report.delivered, report.settled) == (0, 0)
    report = later.run(job_id)
    assert (report.state, report.waiting_reason) == (JobState.SUCCEEDED, None)
    tally = later.sandbox.tally("fullenrich")
    assert (tally["persons"], tally["asked_twice"]) == (10, 0)
    assert later.costs(job_id) == {"fullenrich": Decimal(tally["charged"])}
    assert report.settled == 1 + report.emails_found + 2 * report.phones_found
    assert report.phones_found == 10
    assert [state for state, _ in later.lookups()] == ["answered"]


def test_an_answer_finds_whom_it_is_about_whatever_white_space_is_around_the_id(later):
    later.sandbox.behave("fullenrich", finish_ms=60_000)
    job_id = later.submit(TEN, retrieve=BOTH)
    later.turn(job_id)
    with later.deps.database.transaction() as connection:
        (lookup_id,) = connection.execute(text("SELECT id FROM lookups")).scalars()
        connection.execute(
            text("UPDATE lookup_items SET person_id = 'p0 ' WHERE person_id = 'p0'")
        )
        found = lookups.answer(connection, lookup_id, ["p0"])
        assert {asked.person_id for asked in found} == {"p0 "}
        connection.rollback()


def test_a_person_of_whom_too_little_is_known_is_not_submitted(later):
    nameless = [(name, "") for name in TEN[:3]]
    report = later.run(later.submit([*nameless, *TEN[3:]]))
    assert (report.state, report.delivered) == (JobState.SUCCEEDED, 10)
    assert later.sandbox.tally("fullenrich")["persons"] == 7
    # With nobody else beside them there is nothing to send.
    report = later.run(later.submit(nameless))
    assert (report.state, report.delivered) == (JobState.SUCCEEDED, 3)
    assert later.sandbox.tally("fullenrich")["persons"] == 7


def test_what_was_found_until_the_credits_ran_out_is_kept(later):
    later.sandbox.behave("fullenrich", fault="out_of_credits", finish_ms=0)
    job_id = later.submit(TEN)
    report = later.turn(job_id)
    while report.waiting_reason == "lookup":
        wait(threading.Event(), 0.02)
        report = later.turn(job_id)
    assert report.waiting_reason == "out_of_credits"
    assert (report.state, report.delivered) == (JobState.RUNNING, 0)
    tally = later.sandbox.tally("fullenrich")
    assert (tally["persons"], later.costs(job_id)) == (
        5,
        {"fullenrich": Decimal(tally["charged"])},
    )


def test_a_worker_killed_before_the_answer_submits_nothing_again(later, monkeypatch):
    job_id = later.submit(TEN)

    with monkeypatch.context() as patch:
        patch.setattr(chunks, "renew", die)
        with pytest.raises(Killed):
            later.turn(job_id)
    _let_lapse(later)
    report = later.run(job_id)
    assert later.sandbox.tally("fullenrich")["persons"] == 10
    assert (report.state, report.delivered) == (JobState.SUCCEEDED, 10)


def test_a_request_whose_id_was_lost_is_never_sent_again_and_expires(
    later, monkeypatch
):
    deps = later.deps = later.another(
        providers="directory,fullenrich", lookup_deadline_s=0.5
    )
    job_id = later.submit(TEN)

    with monkeypatch.context() as patch:
        patch.setattr(lookups, "sent", die)
        with pytest.raises(Killed):
            later.turn(job_id, deps)
    assert later.lookups() == [("prepared", "")]
    _let_lapse(later)
    report = later.run(job_id, deps)
    assert later.sandbox.tally("fullenrich")["persons"] == 10
    assert (report.state, report.settled) == (JobState.SUCCEEDED, 1)
    assert (report.delivered, report.emails_found) == (10, 0)
    assert later.costs(job_id) == {}
    assert later.lookups() == [("expired", "")]


def _let_lapse(house):
    """What the sweeper does with the chunk of a worker that is gone."""
    with house.deps.database.transaction() as connection:
        connection.execute(
            text("""
                UPDATE chunks SET state = 'pending', lease_until = NULL, owner = NULL
                 WHERE state = 'running'""")
        )


def _webhook(house, request_id, persons):
    """What the vendor sends: signed, with our ids."""
    body = json.dumps(
        {
            "id": "vendor-1",
            "status": "FINISHED",
            "cost": {"credits": len(persons)},
            "data": [
                {
                    "input": {},
                    "custom": {"request": request_id, "person": person},
                    "contact_info": {
                        "most_probable_work_email": {
                            "email": f"{person}@x.example",
                            "status": "DELIVERABLE",
                        }
                    },
                }
                for person in persons
            ],
        }
    ).encode()
    signature = hmac.new(KEY.encode(), body, hashlib.sha1).hexdigest()
    return body, {"X-Signature-SHA1": signature, "Content-Type": "application/json"}


@pytest.fixture
def api(later, database_url, tmp_path, redis_url):
    settings = {
        "providers": "directory,fullenrich",
        "fullenrich_key": KEY,
        "redis_url": redis_url,
    }
    with serving(database_url, tmp_path, settings) as api:
        yield api


def _in_doubt(house, job_id, persons):
    """A request of which nobody knows whether it has arrived."""
    with house.deps.database.transaction() as connection:
        chunk_id = connection.execute(text("SELECT id FROM chunks")).scalar_one()
    new = NewLookup(
        id="lkp_doubt",
        provider="fullenrich",
        job_id=job_id,
        chunk_id=chunk_id,
        deferred=True,
        deadline_s=60,
    )
    asked = [
        Asked(one, lookup_digest(one, "Lovelace", "engine.example"), Item.EMAIL)
        for one in persons
    ]
    with house.deps.database.transaction() as connection:
        assert len(lookups.prepare(connection, new, asked)) == len(persons)


def test_a_webhook_matches_a_request_in_doubt_and_counts_once(later, api):
    job_id = later.submit(["p1", "p2"])
    _in_doubt(later, job_id, ["p1", "p2"])
    assert later.turn(job_id).waiting_reason == "lookup"
    listed = api.admin.get("/v1/lookups?state=prepared").json()["items"]
    assert [(row["id"], row["vendor_id"]) for row in listed] == [("lkp_doubt", None)]
    body, headers = _webhook(later, "lkp_doubt", ["p1"])
    for _ in range(2):
        taken = httpx.post(
            f"{api.url}/v1/hooks/fullenrich", content=body, headers=headers
        )
        assert (taken.status_code, taken.json()) == (200, {"lookup": "lkp_doubt"})
    report = later.run(job_id)
    assert (report.emails_found, report.settled) == (1, 2)
    assert later.sandbox.tally("fullenrich")["requests"] == 0
    costs = api.admin.get(f"/v1/jobs/{job_id}/costs").json()
    assert costs == {
        "job": job_id,
        "charged": [
            {"item": "company", "provider": None, "lines": 1, "credits": 1},
            {"item": "email", "provider": "fullenrich", "lines": 1, "credits": 1},
        ],
        "paid": [{"provider": "fullenrich", "answers": 1, "paid": "1"}],
    }


def test_a_report_that_is_not_signed_or_not_ours_is_refused(later, api):
    body, headers = _webhook(later, "lkp_nobody", ["p1"])
    url = f"{api.url}/v1/hooks"
    forged = httpx.post(f"{url}/fullenrich", content=body)
    assert (forged.status_code, forged.json()["code"]) == (401, "unauthorized")
    for name in ("fullenrich", "hunter"):
        answer = httpx.post(f"{url}/{name}", content=body, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_the_vendors_webhook_wakes_the_chunk(later, api):
    deps = later.another(
        providers="directory,fullenrich", public_url=api.url, lookup_poll_s=600
    )
    job_id = later.submit(TEN)
    later.sandbox.behave("fullenrich", finish_ms=100, fault="webhook_twice")
    assert later.turn(job_id, deps).waiting_reason == "lookup"
    report = later.run(job_id, deps)
    assert (report.state, report.delivered) == (JobState.SUCCEEDED, 10)
    wait(threading.Event(), 0.1)
    paid = Decimal(later.sandbox.tally("fullenrich")["charged"])
    assert later.costs(job_id) == {"fullenrich": paid}


def test_an_answer_that_comes_too_late_is_kept_for_the_next(later):
    later.sandbox.behave("fullenrich", finish_ms=0)
    deps = later.another(
        providers="directory,fullenrich", lookup_deadline_s=0.01, lookup_poll_s=60
    )
    job_id = later.submit(TEN)
    later.turn(job_id, deps)
    report = later.run(job_id, deps)
    assert (report.settled, report.emails_found) == (1, 0)
    ((state, vendor_id),) = later.lookups()
    assert state == "expired"
    provider = deps.providers.deferred("fullenrich")
    late = deps.providers.event_loop.run(provider.poll(vendor_id))
    assert provider_reports.take(deps, "fullenrich", late) is not None
    # The house has paid for it, whenever it came; the buyer of that job has not.
    paid = Decimal(later.sandbox.tally("fullenrich")["charged"])
    assert later.costs(job_id) == {"fullenrich": paid}
    assert later.run(later.submit(TEN)).emails_found > 0
    assert later.sandbox.tally("fullenrich")["persons"] == 10
