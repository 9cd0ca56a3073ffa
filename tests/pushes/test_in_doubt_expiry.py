"""Batches in doubt of which nobody can ever say what became of them."""

import pytest
from sqlalchemy import text

from pricing.plans import Item
from storage.refunds.refunds import RefundResult
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
    run_once,
    submit,
)
from tests.support.stored_jobs import refund
from worker.connections.connectors.connector import Kind
from worker.connections.connectors.errors import Misconfigured, Throttled, Unavailable
from worker.connections.connectors.hubspot.connector import HubSpot
from worker.connections.connectors.webhook.connector import Webhook
from worker.jobs import job_control
from worker.jobs.sweeper import sweep
from worker.pushes.push_delivery import PushDelivery
from worker.sandbox.webhook import SECRET

_GONE = {"fault": "server_error", "times": 10_000}


@pytest.fixture
def doubted(house, sandbox, connection, monkeypatch):
    """A cancelled job whose worker died with a batch sent, and whose CRM is gone."""
    records = [contact(f"c{n}", f"p{n}") for n in range(250)]
    job_id = submit(house, connection, records)
    die_after_sending(house, job_id, monkeypatch)
    job_control.cancel(house, job_id)
    let_go(house, job_id)
    sandbox.behave("hubspot", **_GONE)
    run_once(house, job_id)
    assert job_runs.report(house, job_id).state == "cancelling"
    _let_time_pass(house)
    return job_id


def _let_time_pass(house):
    """Nobody waits any longer for the CRM to say what became of a batch."""
    with house.database.transaction() as connection:
        connection.execute(
            text("UPDATE chunks SET conclude_at = now() WHERE conclude_at IS NOT NULL")
        )


def _is_flagged(deps, job_id):
    report = run(deps, job_id)
    assert (report.state, counts(report)) == (
        "cancelled",
        {"created": 100, "unreached": 150},
    )
    assert (report.settled, report.released) == (100, 150)
    assert {row.code for row in outcomes_of(deps, job_id)} == {"in_doubt"}


def test_what_a_crm_does_not_tell_of_for_too_long_counts_as_delivered_and_is_flagged(
    wired, doubted
):
    _is_flagged(wired(retry_max_s=0.01), doubted)


def test_beyond_the_reservations_deadline_a_crm_that_answers_is_asked_all_the_same(
    wired, house, sandbox, connection, monkeypatch
):
    job_id = submit(house, connection, [contact("c1")])
    die_after_sending(house, job_id, monkeypatch)
    let_go(house, job_id)
    later = wired(days=15)
    sweep(later)
    report = run(later, job_id)
    assert (report.state, counts(report)) == ("cancelled", {"created": 1})
    assert outcomes_of(house, job_id)[0].code is None


def test_what_counts_as_delivered_is_refunded_and_written_by_its_key_next_time(
    wired, house, sandbox, connection, doubted
):
    run(wired(retry_max_s=0.01), doubted)
    with house.database.transaction() as connection_:
        first = connection_.execute(text("SELECT min(id) FROM charges")).scalar_one()
        refunded = refund(connection_, first, "it never arrived")
        assert refunded is RefundResult.REFUNDED
    sandbox.behave("hubspot")
    report = push(house, connection, [contact(f"c{n}", f"p{n}") for n in range(100)])
    assert (counts(report), report.settled) == ({"updated": 100}, 1)


def test_of_companies_whose_persons_were_not_sent_only_the_company_is_due(
    wired, house, sandbox, connection, monkeypatch
):
    job_id = submit(house, connection, [contact("c1", "p1"), contact("c2")])

    def dying(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(PushDelivery, "_push_persons", dying)
        with pytest.raises(KeyboardInterrupt):
            run_once(house, job_id)
    sandbox.behave("hubspot", **_GONE)
    job_control.cancel(wired(push_doubt_s=0.01), job_id)
    let_go(house, job_id)
    report = run(wired(retry_max_s=0.01), job_id)
    assert (counts(report), report.settled) == ({"created": 1, "rejected": 1}, 2)
    assert {row.code for row in outcomes_of(house, job_id)} == {"in_doubt"}


def test_what_an_endpoint_was_sent_in_full_is_paid_for_though_it_is_gone_for_good(
    wired, house, sandbox, monkeypatch
):
    url = {"url": f"{sandbox.url}/webhook"}
    connection = connect(house, "webhook", url, {"signing_secret": SECRET})
    job_id = submit(house, connection, [contact(f"c{n}", f"p{n}") for n in range(3)])
    send = Webhook._send

    def lost(self, kind, rows):
        if kind is Kind.PERSON:
            raise Unavailable("nobody listens", sent=False)
        return send(self, kind, rows)

    with monkeypatch.context() as patched:
        patched.setattr(Webhook, "_send", lost)
        run_once(house, job_id)
    assert sandbox.tally("webhook")["companies"] == 3
    sandbox.behave("webhook", **_GONE)
    job_control.cancel(wired(push_doubt_s=0.01), job_id)
    sweep(house)
    report = run(wired(retry_max_s=0.01), job_id)
    assert (report.state, report.settled, report.released) == ("cancelled", 3, 0)


def _lost(error):
    def lost(*_):
        raise error

    return lost


def test_what_was_refused_before_anything_was_done_is_not_in_doubt(
    house, sandbox, connection, monkeypatch
):
    job_id = submit(house, connection, [contact(f"c{n}", f"p{n}") for n in range(9)])
    with monkeypatch.context() as patched:
        patched.setattr(HubSpot, "write", _lost(Throttled("busy", 0.01)))
        run_once(house, job_id)
    job_control.cancel(house, job_id)
    report = run(house, job_id)
    assert (report.state, report.settled, report.released) == ("cancelled", 0, 9)
    assert sandbox.tally("hubspot")["companies"] == 0


def test_what_never_reached_an_endpoint_costs_nothing(house, sandbox, monkeypatch):
    url = {"url": f"{sandbox.url}/webhook"}
    connection = connect(house, "webhook", url, {"signing_secret": SECRET})
    job_id = submit(house, connection, [contact("c1", "p1")])
    with monkeypatch.context() as patched:
        nobody = Unavailable("nobody listens", sent=False)
        patched.setattr(Webhook, "_send", _lost(nobody))
        run_once(house, job_id)
    job_control.cancel(house, job_id)
    report = run(house, job_id)
    assert (report.state, report.settled) == ("cancelled", 0)


def test_what_was_concluded_is_not_taken_for_unchanged_the_next_time(
    wired, house, sandbox, connection, monkeypatch
):
    before = [contact("c1", "p1", title="Before")]
    push(house, connection, before)
    job_id = submit(house, connection, [contact("c1", "p1", title="After")])
    die_after_sending(house, job_id, monkeypatch)
    sandbox.behave("hubspot", **_GONE)
    job_control.cancel(wired(push_doubt_s=0.01), job_id)
    let_go(house, job_id)
    run(wired(retry_max_s=0.01), job_id)
    sandbox.behave("hubspot")
    assert counts(push(house, connection, before)) == {"updated": 1}


def test_all_that_was_sent_is_settled_by_a_worker_with_smaller_batches(
    wired, house, sandbox, connection, monkeypatch
):
    job_id = submit(house, connection, [contact(f"c{n}", f"p{n}") for n in range(150)])
    die_after_sending(house, job_id, monkeypatch)
    job_control.cancel(house, job_id)
    let_go(house, job_id)
    report = run(wired(batch_records=20), job_id)
    assert counts(report) == {"created": 100, "unreached": 50}
    assert (report.settled, sandbox.tally("hubspot")["contacts"]) == (100, 100)


def test_what_comes_after_the_batch_in_doubt_is_not_begun_though_a_company_returns(
    house, sandbox, connection, monkeypatch
):
    records = [contact(f"c{n % 90}", f"p{n}") for n in range(240)]
    job_id = submit(house, connection, records)
    die_after_sending(house, job_id, monkeypatch)
    job_control.cancel(house, job_id)
    let_go(house, job_id)
    report = run(house, job_id)
    assert counts(report) == {"created": 100, "unreached": 140}
    assert (report.settled, sandbox.tally("hubspot")["contacts"]) == (90, 100)


def test_an_endpoint_that_read_everything_and_said_no_was_sent_it_all_the_same(
    house, sandbox, monkeypatch
):
    url = {"url": f"{sandbox.url}/webhook"}
    connection = connect(house, "webhook", url, {"signing_secret": SECRET})
    job_id = submit(house, connection, [contact("c1", "p1")])
    post, forbidden = Webhook._post, Misconfigured("forbidden_target", "not there")

    def moved(self, body):
        if b"push.companies" in body and sandbox.tally("webhook")["companies"]:
            raise forbidden
        return post(self, body)

    sandbox.behave("webhook", fault="rate_limited", times=1)
    with monkeypatch.context() as patched:
        patched.setattr(Webhook, "_post", moved)
        report = run(house, job_id)
    assert (counts(report), report.settled) == ({"created": 1}, 1)


def test_of_a_chunk_that_was_split_in_doubt_nothing_more_is_sent_once_cancelled(
    house, sandbox, connection, monkeypatch
):
    job_id = submit(house, connection, [contact(f"c{n}", f"p{n}") for n in range(240)])
    for _ in range(3):
        with house.database.transaction() as open_:
            open_.execute(text("UPDATE chunks SET run_at = clock_timestamp()"))
        die_after_sending(house, job_id, monkeypatch)
        let_go(house, job_id)
    job_control.cancel(house, job_id)
    report = run(house, job_id)
    assert counts(report) == {"created": 100, "unreached": 140}
    assert (report.settled, sandbox.tally("hubspot")["contacts"]) == (100, 100)


@pytest.mark.parametrize("is_cancelled", [False, True])
def test_a_record_that_was_sent_and_kills_each_worker_then_is_flagged_and_paid_for(
    house, sandbox, connection, monkeypatch, is_cancelled
):
    job_id = submit(house, connection, [contact("c1", "p1")])
    for number in range(3):
        if number == 2 and is_cancelled:
            job_control.cancel(house, job_id)
        with house.database.transaction() as open_:
            open_.execute(text("UPDATE chunks SET run_at = clock_timestamp()"))
        die_after_sending(house, job_id, monkeypatch)
        let_go(house, job_id)
    report = run(house, job_id)
    assert counts(report) == {"created": 1}
    (row,) = outcomes_of(house, job_id)
    assert (row.code, report.settled) == ("in_doubt", 1)


def test_a_provider_that_rests_keeps_no_cancelled_job_from_its_end(
    wired, sandbox, monkeypatch
):
    sandbox.behave("hunter", hit_rate=0)
    house = wired(
        providers="directory,hunter",
        hunter_key="k" * 20,
        hunter_url=f"{sandbox.url}/hunter",
        hunter_rate="10000/second",
    )
    job_runs.create_license(house, credits_granted=1_000)
    url = {"url": f"{sandbox.url}/hubspot"}
    connection = connect(house, "hubspot", url, {"access_token": "token"})
    one = contact("c1", "p1", company_domain="one.example")
    job_id = submit(house, connection, [one], retrieve=(Item.EMAIL,))
    die_after_sending(house, job_id, monkeypatch)
    job_control.cancel(house, job_id)
    let_go(house, job_id)
    with house.database.transaction() as open_:
        open_.execute(text("DELETE FROM findings"))
    sandbox.behave("hunter", fault="out_of_credits", times=10_000)
    report = run(house, job_id)
    assert (report.state, counts(report)) == ("cancelled", {"created": 1})
