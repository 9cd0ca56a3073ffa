"""Each rule of a charge is explained in sentences that a customer can be shown."""

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest
from sqlalchemy import text

from pricing.plans import Plan
from storage.finance.explanations import explained_charges
from tests.support import job_runs
from tests.support.stored_jobs import end_job, make_job, refund, settle
from worker.finance.explanations import explanations
from worker.finance.explanations.sentences import sentences_of
from worker.infrastructure.errors import Refused
from worker.jobs import submission
from worker.ledger import company_views
from worker.responses.response import Answer
from worker.retention import person_erasure
from worker.wiring import Wired


@pytest.fixture
def deps(database_url, tmp_path) -> Iterator[Wired]:
    deps = job_runs.wire_to(database_url, tmp_path)
    with closing(deps.database):
        job_runs.create_license(deps, plan=Plan.V3)
        job_runs.know(deps, "p1", "p2")
        yield deps


def _quoted(deps: Wired, *contacts: str) -> str:
    return submission.submit(deps, job_runs.quote(deps, contacts).id)


def _export(deps: Wired, *contacts: str) -> str:
    job_id = _quoted(deps, *contacts)
    job_runs.run(deps, job_id)
    return job_id


def _charge(deps: Wired, item: str, subject: str, job_id: str | None = None) -> int:
    with deps.database.transaction() as connection:
        found: int = connection.execute(
            text("""
                SELECT max(id) FROM charges
                 WHERE item = :item AND subject = :subject
                   AND job_id IS NOT DISTINCT FROM :job_id"""),
            {"item": item, "subject": subject, "job_id": job_id},
        ).scalar_one()
    return found


def _explained(deps: Wired, item: str, subject: str, job_id: str | None) -> Answer:
    return explanations.explain(deps, _charge(deps, item, subject, job_id))


def _told(answer: Answer) -> str:
    return " ".join(answer["sentences"])


def test_a_price_names_job_record_plan_window_and_quote(deps):
    job_id = _export(deps, "c1/p1", "c1/p2", "c2")
    answer = _explained(deps, "company", "c1", job_id)
    told = _told(answer)
    assert told.startswith("The company c1 cost 1 credit: it was delivered on ")
    assert f"in an export of user-1, {job_id}." in told
    assert "record 1 of the input (company c1, person p1)." in told
    assert "1 more of its records name it too" in told
    assert "plan V3, paid yearly: a company costs 1 credit" in told
    assert "free for 365 days" in told
    assert "Nothing had paid for it in the 365 days before the quote" in told
    assert "The quote counted 2 companies, 0 of them free, at most 2 credits" in told
    assert "The job set 8 credits aside and used 8 of them" in told
    assert answer["rule"] == "price"
    assert answer["record"]["record"] == 1
    assert answer["paid_by"] is None


def test_what_was_found_names_its_provider_and_never_the_value(deps):
    job_id = _export(deps, "c1/p1")
    for item, price in (("email", "1 credit"), ("phone", "2 credits")):
        answer = _explained(deps, item, "p1", job_id)
        told = _told(answer)
        assert f"of the person p1 cost {price}:" in told
        assert "It was found by our own directory." in told
        assert answer["finding"]["provider"] == "directory"
        assert "p1@example.com" not in json.dumps(answer)
        assert "+1 555" not in json.dumps(answer)


def test_free_as_quoted_names_who_had_paid_and_is_named_by_it(deps):
    first, second = _export(deps, "c1"), _export(deps, "c1")
    paid = _charge(deps, "company", "c1", first)
    answer = _explained(deps, "company", "c1", second)
    assert answer["rule"] == "free_as_quoted"
    assert answer["paid_by"] == paid
    told = _told(answer)
    assert "The company c1 cost nothing:" in told
    assert f"it was free already: charge {paid} of " in told
    assert f", in {first}, had paid for it." in told
    payer = explanations.explain(deps, paid)
    assert payer["free_on_it"] == [answer["charge"]]
    assert f"1 later line was free because of this charge: {answer['charge']}." in (
        _told(payer)
    )


def test_free_as_quoted_stays_so_where_nothing_pays_any_more(deps):
    first = _export(deps, "c1")
    second = _quoted(deps, "c1")
    paid = _charge(deps, "company", "c1", first)
    with deps.database.transaction() as connection:
        refund(connection, paid, "why not")
    job_runs.run(deps, second)
    told = _told(_explained(deps, "company", "c1", second))
    assert "what a quote says is free stays free" in told
    answer = _explained(deps, "company", "c1", first)
    refunded = _told(answer)
    assert "It was given back, in full, on " in refunded
    assert refunded.endswith("UTC, by credit note 1.")
    assert answer["credit_note"] == 1
    assert "why not" not in refunded
    third = _export(deps, "c2")
    again = _export(deps, "c2")
    paid = _charge(deps, "company", "c2", third)
    with deps.database.transaction() as connection:
        refund(connection, paid, "nor this")
    free = _told(_explained(deps, "company", "c2", again))
    assert ", by credit note 2), had paid for it." in free


def test_paid_meanwhile_names_who_paid_between_quote_and_delivery(deps):
    first, second = _quoted(deps, "c1"), _quoted(deps, "c1")
    job_runs.run(deps, first)
    job_runs.run(deps, second)
    answer = _explained(deps, "company", "c1", second)
    assert answer["rule"] == "paid_meanwhile"
    told = _told(answer)
    assert "it was to cost 1 credit. By its delivery charge " in told
    assert f"in {first}, had paid for it, so it was free." in told


def test_unchanged_says_that_nothing_was_sent(deps):
    with deps.database.transaction() as connection:
        make_job(connection, "job-1", 1, kind="push")
        settle(connection, "job-1", "company:c1=unchanged")
        end_job(connection, "job-1")
    answer = _explained(deps, "company", "c1", "job-1")
    assert answer["rule"] == "unchanged"
    # Where to is not known any more: nobody says that it was a CRM.
    assert "in a push of user-1, job-1." in _told(answer)
    assert "had been sent there before" in _told(answer)
    assert "so nothing was sent, and what is not sent costs nothing." in _told(answer)
    for connector, told in (
        ("webhook", "in a push to a webhook of user-1, job-1."),
        ("hubspot", "in a push into a CRM of user-1, job-1."),
    ):
        with deps.database.reading() as connection:
            found = explained_charges.get(connection, answer["charge"])
        assert found is not None
        explained = " ".join(sentences_of(replace(found, connector=connector)))
        assert told in explained
        assert ("It was in the CRM already" in explained) is (connector != "webhook")


def test_a_view_says_what_it_cost_and_another_why_it_was_free(deps):
    company_views.view(deps, "acme", "user-1", "c1")
    first = _explained(deps, "company", "c1", None)
    assert "user-1 viewed the company c1 on " in _told(first)
    assert "a view of a company costs 1 credit, unless" in _told(first)
    company_views.view(deps, "acme", "user-2", "c1")
    again = _explained(deps, "company", "c1", None)
    assert "which cost nothing." in _told(again)
    assert "had been viewed within the 365 days before: charge " in _told(again)
    assert again["paid_by"] == first["charge"]
    job_id = _export(deps, "c1")
    told = _told(_explained(deps, "company", "c1", job_id))
    assert f"charge {first['charge']} of " in told
    assert "for a view, had paid for it." in told


def test_of_an_erased_person_it_says_so(deps):
    job_id = _export(deps, "c1/p1")
    person_erasure.erase(deps, "p1")
    answer = _explained(deps, "email", "p1", job_id)
    assert answer["person_erased"]
    assert "The person has been erased since" in _told(answer)


def test_a_charge_that_is_not_there_is_not_explained(deps):
    with pytest.raises(Refused, match="there is no charge 99"):
        explanations.explain(deps, 99)
