"""Batches in doubt of which nobody can ever say what became of them."""

import pytest
from sqlalchemy import text

from storage import refunds
from tests.database import running
from tests.pushing import (
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
from worker import steering
from worker.connectors import Kind
from worker.connectors.errors import Unavailable
from worker.connectors.webhook import Webhook
from worker.pushing import Pushing
from worker.sandbox.webhook import SECRET
from worker.sweeper import sweep

_GONE = {"fault": "server_error", "times": 10_000}


@pytest.fixture
def doubted(house, sandbox, connection, monkeypatch):
    """A cancelled job whose worker died with a batch sent, and whose CRM is gone."""
    records = [contact(f"c{n}", f"p{n}") for n in range(250)]
    job_id = submit(house, connection, records)
    die_after_sending(house, job_id, monkeypatch)
    steering.cancel(house, job_id)
    let_go(house, job_id)
    sandbox.behave("hubspot", **_GONE)
    run_once(house, job_id)
    assert running.report(house, job_id).state == "cancelling"
    return job_id


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
    _is_flagged(wired(push_doubt_s=0.01, retry_max_s=0.01), doubted)


def test_so_does_what_is_in_doubt_beyond_the_reservations_deadline(wired, doubted):
    _is_flagged(wired(days=15), doubted)


def test_what_counts_as_delivered_is_refunded_and_written_by_its_key_next_time(
    wired, house, sandbox, connection, doubted
):
    run(wired(push_doubt_s=0.01), doubted)
    with house.database.transaction() as connection_:
        first = connection_.execute(text("SELECT min(id) FROM charges")).scalar_one()
        refunded = refunds.refund(connection_, first, "it never arrived")
        assert refunded is refunds.RefundResult.REFUNDED
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
        patched.setattr(Pushing, "_push_persons", dying)
        with pytest.raises(KeyboardInterrupt):
            run_once(house, job_id)
    steering.cancel(house, job_id)
    let_go(house, job_id)
    report = run(wired(push_doubt_s=0.01), job_id)
    assert (counts(report), report.settled) == ({"created": 1, "rejected": 1}, 2)
    codes = [row.code for row in outcomes_of(house, job_id)]
    assert codes == ["crm_unavailable", "in_doubt"]


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
    sandbox.behave("webhook", fault="refused", times=10_000)
    steering.cancel(house, job_id)
    sweep(house)
    report = run(wired(push_doubt_s=0.01), job_id)
    assert (report.state, report.settled, report.released) == ("cancelled", 3, 0)
