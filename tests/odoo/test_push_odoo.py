"""Pushes into a real Odoo: what is there afterwards, and what it cost."""

from pathlib import Path

import pytest

from storage.jobs import job_reports
from tests.support import job_runs
from tests.support.push_runs import (
    connect,
    contact,
    counts,
    outcomes_of,
    push,
    reading_of,
    request_of,
    run,
    submit,
)
from worker.connections import connections
from worker.infrastructure.errors import BadInput
from worker.jobs import job_control, job_retry
from worker.jobs.delivery import RetryChanges
from worker.pushes import dry_runs

FORTUNE = Path(__file__).parents[1] / "data" / "fortune500.csv"


def test_a_connection_says_whether_odoo_takes_its_key(house, crm, connection):
    assert connections.test(house, connection).ok
    wrong = connect(house, "odoo", crm.settings, {"api_key": "wrong"})
    tested = connections.test(house, wrong)
    assert (tested.ok, tested.code) == (False, "unauthorized")
    assert tested.connection.state == "needs_reconnect"


def test_a_company_and_its_person_are_there_linked_and_paid_for_once(
    house, crm, connection
):
    records = [contact("c1", "p1", company_domain="one.example", title="Chief")]
    report = push(house, connection, records)
    assert (counts(report), report.settled) == ({"created": 1}, 1)
    company, person = sorted(crm.ours(), key=lambda row: row["key"])
    assert (company["key"], company["is_company"]) == ("company_c1", True)
    assert person["parent_id"][0] == company["id"]
    assert (person["name"], person["function"]) == ("P p1", "Chief")
    (outcome,) = outcomes_of(house, report.id)
    assert outcome.link == f"{crm.server.url}/odoo/contacts/{person['id']}"

    again = push(house, connection, records)
    assert (counts(again), again.settled) == ({"unchanged": 1}, 0)


def test_five_hundred_companies_and_persons_are_there_and_the_same_again_sends_nothing(
    house, crm, connection
):
    before = crm.count()
    report = push(house, connection, FORTUNE)
    assert (counts(report), report.settled) == ({"created": 500}, 500)
    ours = crm.ours()
    companies = [row for row in ours if row["is_company"]]
    assert (len(companies), len(ours), crm.count()) == (500, 1000, before + 1000)
    assert sum(bool(row["parent_id"]) for row in ours) == 500

    written = {row["id"]: row["write_date"] for row in ours}
    again = push(house, connection, FORTUNE)
    assert (counts(again), again.settled) == ({"unchanged": 500}, 0)
    assert {row["id"]: row["write_date"] for row in crm.ours()} == written


def test_of_two_hundred_only_the_two_bad_ones_are_rejected_and_named(
    house, crm, connection
):
    mapping = {"company": {"company_country": "country_id", "company_vat": "vat"}}
    records = [
        contact(
            f"c{n}",
            company_country="Belgium",
            company_vat="BE0477472700" if n in {37, 151} else "BE0477472701",
        )
        for n in range(200)
    ]
    report = push(house, connection, records, mapping=mapping)
    assert counts(report) == {"created": 198, "rejected": 2}
    assert (report.settled, len(crm.ours())) == (198, 198)
    bad = [row for row in outcomes_of(house, report.id) if row.outcome == "rejected"]
    assert [(row.company_id, row.code) for row in bad] == [
        ("c37", "invalid_vat"),
        ("c151", "invalid_vat"),
    ]
    assert all("0477472700" in (row.message or "") for row in bad)

    retried = run(
        house,
        job_retry.retry(
            house,
            report.id,
            changes=RetryChanges(mapping={"company": {}, "person": {}}),
        ),
    )
    assert (counts(retried), retried.settled) == ({"created": 2}, 2)
    assert len(crm.ours()) == 200


def test_what_the_crm_has_is_adopted_by_domain_and_address_and_ambiguous_if_twice(
    house, crm, connection
):
    def partner(**fields):
        return crm.call("res.partner", "create", vals_list=[fields])[0]

    known = partner(name="One Ltd", is_company=True, website="https://www.one.example")
    person = partner(name="A. L.", email="Ada@one.example")
    for name in ("Two", "Two again"):
        partner(name=name, is_company=True, website="http://two.example")
    records = [
        contact(
            "c1",
            "p1",
            company_domain="one.example",
            email="ada@one.example",
            title="Chief",
        ),
        contact("c2", company_domain="two.example"),
    ]
    dry = _dry_run(house, connection, records)
    assert (dry.update, dry.ambiguous, dry.create) == (1, 1, 0)
    report = push(house, connection, records, overwrite="if_empty")
    assert counts(report) == {"updated": 1, "rejected": 1}
    (ours,) = crm.ours()
    assert (ours["key"], ours["id"]) == ("person_p1", person)
    assert (ours["name"], ours["function"]) == ("A. L.", "Chief")
    assert ours["parent_id"][0] == known
    assert outcomes_of(house, report.id)[1].code == "ambiguous"


def test_a_record_that_may_not_be_overwritten_is_unchanged_and_free(
    house, crm, connection
):
    crm.call(
        "res.partner",
        "create",
        vals_list=[
            {"name": "Old", "is_company": True, "website": "http://one.example"}
        ],
    )
    records = [contact("c1", company_domain="one.example")]
    report = push(house, connection, records, overwrite="never")
    assert (counts(report), report.settled) == ({"unchanged": 1}, 0)
    assert crm.ours() == []


def test_tags_are_added_to_those_that_a_partner_has_and_an_owner_is_set(
    house, crm, connection
):
    own = crm.call("res.partner.category", "create", vals_list=[{"name": "Theirs"}])
    there = crm.call(
        "res.partner",
        "create",
        vals_list=[
            {
                "name": "One",
                "is_company": True,
                "website": "http://one.example",
                "category_id": [[6, 0, own]],
            }
        ],
    )
    records = [contact("c1", company_domain="one.example")]
    report = push(house, connection, records, tags=["Holdfast", "New"], owner="admin")
    assert counts(report) == {"updated": 1}
    (row,) = crm.ours()
    assert row["id"] == there[0]
    assert len(row["category_id"]) == 3
    assert row["user_id"] is not False


@pytest.fixture
def deaf(database_url, tmp_path, redis_url, house):
    """The same house, which hears nothing of any CRM."""
    deps = job_runs.wire_to(
        database_url,
        tmp_path,
        redis_url=redis_url,
        webhook_allow_private=True,
        crm_timeout_s=0.001,
    )
    yield deps
    deps.crms.close()
    deps.database.close()


def test_an_owner_or_a_field_that_odoo_does_not_have_is_refused_or_parks_the_job(
    house, crm, connection, deaf
):
    nobody = {"owner": "nobody@nowhere.example"}
    nothing = {"mapping": {"company": {"company_name": "x_nothing"}}}
    for how in (nobody, nothing):
        with pytest.raises(BadInput):
            push(house, connection, [contact("c1")], **how)
    # Where Odoo could not be asked before.
    for how, reason in ((nobody, "unknown_owner"), (nothing, "unknown_field")):
        report = run(house, submit(deaf, connection, [contact("c1")], **how))
        assert (report.state, report.waiting_reason) == ("paused", reason)
    assert crm.ours() == []
    for job in _jobs(house):
        job_control.cancel(house, job.id)
    job_runs.complete(house)


def _jobs(house):
    with house.database.transaction() as connection:
        return job_reports.jobs(connection, job_reports.WantedJobs())


def _dry_run(house, connection_id, records, **push_):
    dry_run_id = dry_runs.create(
        house, request_of(connection_id, **push_), reading_of(records)
    )
    job_runs.complete(house)
    found = dry_runs.get(house, dry_run_id)
    assert found.state == "succeeded"
    return found


def test_a_dry_run_says_what_a_push_would_do_and_writes_nothing(house, crm, connection):
    push(house, connection, [contact("c1"), contact("c2")])
    before = crm.ours()
    records = [
        contact("c1"),
        contact("c2", company_name="Renamed"),
        contact("c3"),
        contact("c4", company_name=""),
    ]
    dry = _dry_run(house, connection, records)
    assert (dry.unchanged, dry.update, dry.create, dry.refused) == (1, 1, 1, 1)
    assert crm.ours() == before
    assert job_runs.balance(house).reserved == 0


def test_a_person_at_fault_is_rejected_and_the_company_that_was_created_is_paid_for(
    house, crm, connection
):
    mapping = {"person": {"person_country": "country_id"}}
    records = [
        contact("c1", "p1", country="Belgium"),
        contact("c2", "p2", country="Nowhere"),
    ]
    report = push(house, connection, records, mapping=mapping)
    assert (counts(report), report.settled) == ({"created": 1, "rejected": 1}, 2)
    rejected = outcomes_of(house, report.id)[1]
    assert (rejected.code, rejected.field) == ("unknown_reference", "country_id")
    again = run(
        house, job_retry.retry(house, report.id, changes=RetryChanges(mapping={}))
    )
    assert (counts(again), again.settled) == ({"created": 1}, 0)


def test_ids_of_all_kinds_are_keys_and_none_is_another(house, crm, connection):
    ids = ["a b", "a.b", "a_b", "a__b", "A B", "é", "x" * 200, "x" * 199 + "y", "a%20b"]
    report = push(house, connection, [contact(one, company_name="n") for one in ids])
    assert counts(report) == {"created": len(ids)}
    assert len({row["id"] for row in crm.ours()}) == len(ids)
    again = push(house, connection, [contact(one, company_name="m") for one in ids])
    assert counts(again) == {"updated": len(ids)}
    assert len(crm.ours()) == len(ids)


def test_a_blacklisted_address_of_a_company_leaves_none_of_its_persons_out(
    house, crm, connection
):
    push(house, connection, [contact("c1")])
    (company,) = crm.ours()
    call = crm.call
    address = {"email": "info@one.example"}
    call("res.partner", "write", ids=[company["id"]], vals=address)
    call("mail.blacklist", "create", vals_list=[address])
    report = push(house, connection, [contact("c1", "p1")])
    assert counts(report) == {"created": 1}


def test_whom_odoos_blacklist_names_is_left_alone(house, crm, connection):
    crm.call(
        "res.partner", "create", vals_list=[{"name": "A", "email": "a@one.example"}]
    )
    crm.call("mail.blacklist", "create", vals_list=[{"email": "a@one.example"}])
    records = [contact("c1", "p1", email="a@one.example"), contact("c2", "p2")]
    report = push(house, connection, records)
    assert (counts(report), report.settled) == ({"created": 1, "excluded": 1}, 1)
    assert outcomes_of(house, report.id)[0].code == "do_not_contact"


def test_what_was_deleted_in_odoo_is_left_alone_unless_that_is_asked_for(
    house, crm, connection
):
    push(house, connection, [contact("c1", "p1")])
    (person,) = [one for one in crm.ours() if not one["is_company"]]
    crm.call("res.partner", "unlink", ids=[person["id"]])
    report = push(house, connection, [contact("c1", "p1")])
    assert counts(report) == {"excluded": 1}
    again = push(house, connection, [contact("c1", "p1")], recreate_deleted=True)
    assert counts(again) == {"created": 1}


def test_who_is_in_another_company_stays_there_where_only_blanks_are_filled(
    house, crm, connection
):
    company = {"name": "Theirs", "is_company": True}
    (theirs,) = crm.call("res.partner", "create", vals_list=[company])
    person = {"name": "A", "email": "a@one.example", "parent_id": theirs}
    crm.call("res.partner", "create", vals_list=[person])
    records = [contact("c1", "p1", email="a@one.example", title="Chief")]
    push(house, connection, records, overwrite="if_empty")
    (row,) = [one for one in crm.ours() if not one["is_company"]]
    assert (row["parent_id"][0], row["function"]) == (theirs, "Chief")
