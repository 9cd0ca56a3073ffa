"""One promise for every connector: what a push does, whatever the CRM behind it."""

from collections.abc import Iterator

import pytest
from sqlalchemy import text

from tests.odoo import server as odoo
from tests.support import job_runs
from tests.support.crm_contracts import NAMES, Crm, crm_of, param_of
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
from worker.connections import connections, connector_registry, crm_fields
from worker.connections.connectors.connector import Kind
from worker.connections.connectors.record_keys import key_of
from worker.infrastructure.errors import BadInput
from worker.jobs import job_control


def of(*but: str) -> pytest.MarkDecorator:
    """A test of all connectors but those that make no such promise."""
    names = [param_of(name) for name in NAMES if name not in but]
    return pytest.mark.parametrize("crm_name", names, indirect=True)


@pytest.fixture(scope="session")
def odoo_server() -> Iterator[odoo.Server]:
    with odoo.running() as server:
        yield server


@pytest.fixture(params=[param_of(name) for name in NAMES])
def crm_name(request) -> str:
    name: str = request.param
    return name


@pytest.fixture
def crm(request, crm_name, sandbox) -> Iterator[Crm]:
    real = crm_name == "odoo"
    server = request.getfixturevalue("odoo_server") if real else None
    with crm_of(crm_name, sandbox, server) as crm:
        yield crm


@pytest.fixture
def house(wired):
    deps = wired(crm_settle_s=0.2)
    job_runs.create_license(deps, credits_granted=100_000)
    return deps


@pytest.fixture
def connection(house, crm):
    return connect(house, crm.connector, crm.settings, crm.secrets)


def _records(count, **fields):
    return [contact(f"c{n}", f"p{n}", **fields) for n in range(count)]


def test_new_records_are_created_linked_and_paid_for(house, connection, crm):
    report = push(house, connection, _records(30))
    assert (report.state, counts(report)) == ("succeeded", {"created": 30})
    assert (report.settled, crm.there(), crm.linked()) == (30, (30, 30), 30)
    assert {row.code for row in outcomes_of(house, report.id)} == {None}


@pytest.mark.parametrize("crm_name", ["salesforce", "salesforce, bulk"], indirect=True)
def test_a_push_of_more_than_the_connection_says_goes_by_ingest_jobs(
    house, connection, crm, crm_name, sandbox
):
    push(house, connection, _records(30))
    assert crm.there() == (30, 30)
    jobs = sandbox.tally("salesforce")["jobs"]
    assert jobs == (2 if crm_name == "salesforce, bulk" else 0)


def test_what_differs_is_updated_and_free_within_the_window(house, connection, crm):
    push(house, connection, _records(12))
    report = push(house, connection, _records(12, phone="+32 2 555 01 01"))
    assert (counts(report), report.settled) == ({"updated": 12}, 0)
    assert crm.there() == (12, 12)


def test_the_same_again_is_unchanged_and_costs_nothing(wired, house, connection, crm):
    push(house, connection, _records(12))
    before = crm.shown()
    later = wired(days=40, crm_settle_s=0.2)
    report = push(later, connection, _records(12))
    assert (counts(report), report.settled) == ({"unchanged": 12}, 0)
    assert crm.shown() == before


# An endpoint of one's own takes whatever it is sent, Odoo whatever is no VAT number.
@of("webhook", "odoo")
def test_one_bad_row_of_a_batch_is_rejected_by_name_and_the_others_go_in(
    house, connection, crm
):
    records = _records(25)
    records[17]["person"]["email"] = "no address"
    report = push(house, connection, records)
    assert counts(report) == {"created": 24, "rejected": 1}
    (rejected,) = [row for row in outcomes_of(house, report.id) if row.code]
    assert (rejected.person_id, rejected.code) == ("p17", "invalid_email")
    assert "no address" in (rejected.message or "")
    # Its company is there, and due.
    assert (report.settled, crm.there()) == (25, (25, 24))


# What was sent to one's own endpoint in full is delivered, a 429 included.
@of("webhook")
def test_a_limit_rests_the_connection_and_is_no_failure(house, connection, crm):
    push(house, connection, [contact("c0")])
    crm.behave(fault="rate_limited", times=1, window_s=2)
    job_id = submit(house, connection, [contact("c1")])
    run_once(house, job_id)
    report = job_runs.report(house, job_id)
    assert (report.state, report.waiting_reason) == ("running", crm.limit)
    crm.behave()
    if crm.limit == "rate_limited":
        assert counts(run(house, job_id)) == {"created": 1}
    else:
        # A day is waited for longer than a test may take.
        job_control.cancel(house, job_id)
        assert run(house, job_id).settled == 0


@pytest.mark.parametrize(("fault", "times"), [("cut", 3), ("server_error", 2)])
def test_what_was_written_and_never_answered_is_there_once_and_paid_for_once(
    house, connection, crm, fault, times
):
    crm.behave(fault=fault, times=times, fault_on=crm.writes)
    report = push(house, connection, _records(8))
    assert crm.faults_left == 0
    assert (counts(report), report.settled) == ({"created": 8}, 8)
    assert crm.there() == (8, 8)


def test_a_crm_that_says_nothing_is_waited_for_so_long_and_gets_each_record_once(
    wired, connection, crm
):
    hasty = wired(crm_timeout_s=0.5, crm_settle_s=0.2)
    crm.behave(fault="slow", slow_ms=1_500, fault_on=crm.writes)
    report = push(hasty, connection, _records(8))
    assert crm.faults_left == 0
    assert (counts(report), report.settled) == ({"created": 8}, 8)
    assert crm.there() == (8, 8)


def test_a_crm_that_is_silent_before_anything_is_written_is_asked_again(
    house, connection, crm
):
    crm.behave(fault="cut", times=3)
    report = push(house, connection, _records(3))
    assert (counts(report), report.settled) == ({"created": 3}, 3)


# Any words with a 200 are a yes of one's own endpoint.
@of("webhook")
def test_an_answer_that_nobody_understands_is_no_yes(house, connection, crm):
    crm.behave(fault="garbled", times=2, fault_on=crm.writes)
    report = push(house, connection, _records(8))
    assert crm.faults_left == 0
    assert (counts(report), report.settled) == ({"created": 8}, 8)
    assert crm.there() == (8, 8)


def test_a_firewalls_no_is_waited_for_and_rejects_nobody(house, connection, crm):
    crm.behave(fault="blocked", times=3)
    report = push(house, connection, _records(3))
    assert crm.faults_left == 0
    assert (counts(report), report.settled) == ({"created": 3}, 3)


def test_a_firewall_that_lets_nothing_through_parks_the_job_and_costs_nothing(
    house, connection, crm
):
    crm.behave(fault="blocked", times=99)
    report = push(house, connection, _records(3))
    assert (report.state, report.waiting_reason) == ("paused", "forbidden")
    assert (counts(report), report.settled) == ({}, 0)
    crm.behave()
    job_control.resume(house, report.id)
    report = run(house, report.id)
    assert (counts(report), report.settled) == ({"created": 3}, 3)


def test_fewer_results_than_rows_are_no_success_and_nobody_is_lost(
    house, connection, crm
):
    push(house, connection, [contact("c-before")])
    crm.behave(fault="fewer", times=2)
    report = push(house, connection, _records(8))
    assert counts(report) == {"created": 8}
    assert crm.there() == (9, 8)


def test_a_batch_in_doubt_is_run_again_and_told_and_charged_as_if_once(
    house, connection, crm, monkeypatch
):
    job_id = submit(house, connection, _records(15))
    die_after_sending(house, job_id, monkeypatch)
    assert crm.there() == (15, 15)
    let_go(house, job_id)
    report = run(house, job_id)
    assert (counts(report), report.settled) == ({"created": 15}, 15)
    assert crm.there() == (15, 15)


# Nobody can ask one's own endpoint what it has.
@of("webhook")
def test_what_was_deleted_there_is_left_alone_unless_that_is_asked_for(
    house, connection, crm
):
    push(house, connection, _records(3))
    crm.delete_first()
    report = push(house, connection, _records(3, phone="+32 2 555 01 02"))
    assert counts(report) == {"updated": 2, "excluded": 1}
    assert crm.there() == (3, 2)
    again = push(
        house, connection, _records(3, phone="+32 2 555 01 02"), recreate_deleted=True
    )
    assert counts(again) == {"created": 1, "unchanged": 2}
    assert crm.there() == (3, 3)


@of("webhook")
def test_what_was_merged_there_is_followed(house, connection, crm):
    push(house, connection, _records(3))
    stays = crm.merge_first()
    assert crm.there() == (3, 3)
    report = push(house, connection, _records(3, phone="+32 2 555 01 03"))
    assert counts(report) == {"updated": 3}
    links = [row.link or "" for row in outcomes_of(house, report.id)]
    assert sum(link.removesuffix("/view").endswith(f"/{stays}") for link in links) == 1
    assert crm.there() == (3, 3)


_ALIKE = [
    *("C1", "c1", "c 1", "c  1", "c1.", "c1..", "c-1", "c_1", "c%1"),
    *("caf\u00e9", "cafe\u0301", "cafe", "CAF\u00c9", "cafe\u200b", "caf\u00e9\u00a0x"),
    *("stra\u00dfe", "strasse", "\ufb01", "fi", "\uff11", "1"),
    *("x" * 199 + "a", "x" * 199 + "b", "x" * 199 + "\u00e9", "\U0001f600" * 199),
    key_of("caf\u00e9"),
]
"""Ids that a CRM may take for each other: by case, white space, composition, length."""


def _alike() -> list[dict[str, dict[str, str] | None]]:
    return [contact(one, one, last_name=f"N{n}") for n, one in enumerate(_ALIKE)]


def test_ids_that_a_crm_may_take_for_each_other_stay_apart(house, connection, crm):
    report = push(house, connection, _alike())
    assert (counts(report), report.settled) == ({"created": len(_ALIKE)}, len(_ALIKE))
    assert crm.there() == (len(_ALIKE), len(_ALIKE))
    assert counts(push(house, connection, _alike())) == {"unchanged": len(_ALIKE)}


# Nobody can ask one's own endpoint what it has.
@of("webhook")
def test_each_of_them_is_found_by_its_key_where_nothing_is_remembered(
    house, connection, crm
):
    push(house, connection, _alike())
    before = crm.values()
    with house.database.transaction() as open_:
        open_.execute(text("DELETE FROM id_map"))
    assert counts(push(house, connection, _alike())) == {"updated": len(_ALIKE)}
    assert crm.there() == (len(_ALIKE), len(_ALIKE))
    assert crm.values() == before


def test_a_connection_is_tested_and_says_which_fields_it_has(house, connection, crm):
    assert connections.test(house, connection).ok
    fields = crm_fields.fields_of(house.crms, connections.get(house, connection))
    for kind in Kind:
        targets = connector_registry.OFFERS[crm.connector].defaults[kind].values()
        found = fields[kind]
        assert found is None or set(targets) <= found.keys()


# An endpoint has no records of its own that could be asked for.
@of("webhook")
def test_who_is_there_already_is_adopted_by_address_and_is_there_once(
    house, connection, crm
):
    theirs = crm.plant("a@one.example")
    report = push(house, connection, [contact("c1", "p1", email="A@one.example")])
    assert counts(report) == {"updated": 1}
    (row,) = outcomes_of(house, report.id)
    assert theirs in (row.link or "")
    assert crm.there() == (1, 1)


@of("webhook")
def test_who_was_adopted_is_known_by_our_key_where_nothing_is_remembered(
    house, connection, crm
):
    crm.plant("a@one.example")
    push(house, connection, [contact("c1", "p1", email="a@one.example")])
    with house.database.transaction() as open_:
        open_.execute(text("DELETE FROM id_map"))
    report = push(house, connection, [contact("c1", "p1", email="b@one.example")])
    assert counts(report) == {"updated": 1}
    assert crm.there() == (1, 1)


@of("webhook")
def test_who_is_another_of_ours_is_not_adopted(house, connection, crm):
    records = [contact("c1", one, email="a@one.example") for one in ("p1", "p2")]
    push(house, connection, records[:1])
    report = push(house, connection, records[1:])
    # Some CRMs take an address once only.
    assert counts(report) in ({"created": 1}, {"rejected": 1})
    assert crm.there() == (1, 1 + report.created)
    assert counts(push(house, connection, records[:1])) == {"unchanged": 1}


# An endpoint has no records of its own that could be asked for.
@of("webhook")
def test_a_look_up_that_the_crm_refuses_ends_its_own_record_and_no_other(
    house, connection, crm
):
    crm.behave(too_common="common.example")
    records = [
        contact(f"c{n}", f"p{n}", email=f"a@{domain}", company_domain=domain)
        for n, domain in enumerate(("one.example", "common.example", "two.example"))
    ]
    report = push(house, connection, records)
    assert (report.state, counts(report)) == (
        "partial",
        {"created": 2, "rejected": 1},
    )
    (rejected,) = [row for row in outcomes_of(house, report.id) if row.code]
    assert (rejected.person_id, rejected.code) == ("p1", "ambiguous")


# In HubSpot an address belongs to one contact.
@of("webhook", "hubspot", "hubspot, whole batches")
def test_which_of_two_with_the_same_address_is_meant_is_nobodys_to_decide(
    house, connection, crm
):
    for _ in range(2):
        crm.plant("a@one.example")
    report = push(house, connection, [contact("c1", "p1", email="a@one.example")])
    assert (counts(report), report.settled) == ({"rejected": 1}, 1)
    assert outcomes_of(house, report.id)[0].code == "ambiguous"


@of("webhook")
def test_who_is_not_to_be_contacted_is_left_alone_with_their_company(
    house, connection, crm
):
    crm.plant("a@one.example", opted_out=True)
    before = crm.shown()
    report = push(house, connection, [contact("c1", "p1", email="a@one.example")])
    assert (counts(report), report.settled) == ({"excluded": 1}, 0)
    assert outcomes_of(house, report.id)[0].code == "do_not_contact"
    assert crm.shown() == before


@of("webhook")
def test_what_the_customer_has_filled_is_kept_where_only_blanks_are_filled(
    house, connection, crm
):
    crm.plant("a@one.example", "+32 2 555 99 99")
    given = contact("c1", "p1", email="a@one.example", phone="+32 2 555 01 01")
    push(house, connection, [given], overwrite="if_empty")
    assert "555 99 99" in str(crm.shown())
    assert "555 01 01" not in str(crm.shown())


def test_a_blank_clears_what_was_there_only_where_that_is_asked_for(
    house, connection, crm
):
    push(house, connection, [contact("c1", "p1", phone="+32 2 555 01 01")])
    blank = [contact("c1", "p1", phone="", last_name="Changed")]
    push(house, connection, blank)
    assert ("555 01 01" in str(crm.shown())) == (crm.connector != "webhook")
    push(house, connection, blank, send_blanks=True)
    assert "555 01 01" not in str(crm.shown())


def test_secrets_that_are_not_taken_park_the_job_until_there_are_others(house, crm):
    connection = connect(house, crm.connector, crm.settings, crm.refused)
    assert not connections.test(house, connection).ok
    report = push(house, connection, [contact("c1", "p1")])
    assert (report.state, report.settled, crm.there()) == ("paused", 0, (0, 0))
    connections.reconnect(house, connection, crm.secrets)
    if report.waiting_reason != "needs_reconnect":
        # An endpoint's no may have any reason.
        job_control.resume(house, report.id)
    assert counts(run(house, report.id)) == {"created": 1}


# An endpoint has no users.
@of("webhook")
def test_an_owner_whom_the_crm_does_not_have_refuses_the_push(house, connection):
    with pytest.raises(BadInput, match=r"push\.owner"):
        push(house, connection, [contact("c1")], owner="nobody@nowhere.example")
