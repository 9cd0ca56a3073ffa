"""Pushes into HubSpot: what is there afterwards, what it cost, what was told."""

import httpx
import pytest
from sqlalchemy import text

from pricing.plans import Item
from storage.ledger import charges
from storage.licenses import notifications
from tests.support import job_runs
from tests.support.push_runs import (
    Killed,
    connect,
    contact,
    counts,
    die_after_sending,
    let_go,
    outcomes_of,
    push,
    reading_of,
    request_of,
    run,
    run_once,
    submit,
)
from worker.connections import connections
from worker.connections.connectors.connector import Kind
from worker.connections.connectors.errors import Throttled, Unavailable
from worker.connections.connectors.hubspot.connector import HubSpot
from worker.infrastructure.errors import Refused
from worker.jobs import chunk_runner, job_control, job_retry
from worker.jobs.delivery import RetryChanges
from worker.pushes import dry_runs
from worker.pushes.push_delivery import PushDelivery
from worker.retention import person_erasure


def _rules(house, job_id):
    with house.database.transaction() as connection:
        found = charges.find(
            connection, charges.Wanted(job_id=job_id), after=0, limit=500
        )
    return {(one.item, one.subject): (one.credits, one.rule) for one in found}


def test_a_record_is_created_linked_and_charged_and_the_same_again_is_free(
    house, sandbox, connection
):
    job_runs.know(house, "p1")
    records = [contact("c1", "p1", company_domain="one.example", title="Chief")]
    how = {"retrieve": (Item.EMAIL, Item.PHONE)}
    report = push(house, connection, records, **how)
    assert (report.state, counts(report)) == ("succeeded", {"created": 1})
    assert _rules(house, report.id) == {
        ("company", "c1"): (1, "price"),
        ("email", "p1"): (1, "price"),
        ("phone", "p1"): (2, "price"),
    }
    told = sandbox.tally("hubspot")
    assert (told["contacts"], told["companies"], told["associations"]) == (1, 1, 1)

    requests = told["requests"]
    again = push(house, connection, records, **how)
    assert (counts(again), again.settled) == ({"unchanged": 1}, 0)
    assert {rule for _, rule in _rules(house, again.id).values()} == {"unchanged"}
    after = sandbox.tally("hubspot")
    written = [path for path in after["paths"] if "upsert" in path or "update" in path]
    assert {path: after["paths"][path] for path in written} == {
        path: told["paths"][path] for path in written
    }
    assert requests < after["requests"]


def test_of_a_company_and_its_two_persons_only_what_changes_is_paid_for(
    house, connection
):
    first = [contact("c1", "p1"), contact("c1", "p2")]
    push(house, connection, first)
    changed = [contact("c1", "p1"), contact("c1", "p2", title="New")]
    report = push(house, connection, changed)
    assert counts(report) == {"updated": 1, "unchanged": 1}
    assert _rules(house, report.id) == {("company", "c1"): (0, "free_as_quoted")}


def test_a_company_that_a_later_batch_changes_is_paid_for_once(
    wired, house, connection
):
    push(house, connection, [contact("c1")])
    # What was paid then frees nothing now.
    small = wired(batch_records=1, days=40)
    records = [contact("c1"), contact("c1", "p1"), contact("c1", "p2")]
    report = push(small, connection, records)
    assert counts(report) == {"created": 2, "unchanged": 1}
    assert _rules(house, report.id) == {("company", "c1"): (1, "price")}


def test_a_207_rejects_the_bad_rows_by_name_and_delivers_the_others(
    house, sandbox, connection
):
    sandbox.behave("hubspot", refusals="partial")
    records = [
        contact(f"c{n}", f"p{n}", email="no address" if n % 10 == 3 else "")
        for n in range(40)
    ]
    report = push(house, connection, records)
    assert counts(report) == {"created": 36, "rejected": 4}
    rejected = [row for row in outcomes_of(house, report.id) if row.code]
    assert [row.person_id for row in rejected] == ["p3", "p13", "p23", "p33"]
    assert {row.code for row in rejected} == {"invalid_email"}
    assert sandbox.tally("hubspot")["contacts"] == 36
    # Their companies were created.
    assert report.settled == 40


def test_one_bad_row_of_a_whole_batch_stands_alone_in_the_end(
    house, sandbox, connection
):
    sandbox.behave("hubspot", refusals="whole")
    records = [
        contact(f"c{n}", f"p{n}", email="no address" if n == 41 else "")
        for n in range(100)
    ]
    report = push(house, connection, records)
    assert counts(report) == {"created": 99, "rejected": 1}
    paths = sandbox.tally("hubspot")["paths"]
    assert paths["POST /crm/v3/objects/contacts/batch/upsert"] <= 15


def test_fewer_results_than_inputs_are_no_success_and_nobody_is_lost(
    house, sandbox, connection
):
    sandbox.behave("hubspot", fault="fewer", times=3)
    records = [contact(f"c{n}", f"p{n}") for n in range(30)]
    report = push(house, connection, records)
    assert counts(report) == {"created": 30}
    told = sandbox.tally("hubspot")
    assert (told["contacts"], told["companies"]) == (30, 30)


@pytest.mark.parametrize("fault", ["cut", "server_error", "garbled"])
def test_what_was_written_and_never_answered_is_there_once_and_paid_for(
    house, sandbox, connection, fault
):
    push(house, connection, [contact("c0")])
    sandbox.behave("hubspot", fault=fault, times=4)
    report = push(house, connection, [contact(f"c{n}", f"p{n}") for n in range(1, 21)])
    assert (counts(report), report.settled) == ({"created": 20}, 20)
    told = sandbox.tally("hubspot")
    assert (told["contacts"], told["companies"]) == (20, 21)


def test_what_the_id_map_holds_with_white_space_around_its_id_is_known(
    house, connection
):
    records = [contact(f"c{n}", f"p{n}") for n in range(3)]
    push(house, connection, records)
    with house.database.transaction() as connection_:
        connection_.execute(text("UPDATE id_map SET our_id = our_id || ' '"))
    assert counts(push(house, connection, records)) == {"unchanged": 3}
    changed = [record | {"title": "CEO"} for record in records]
    assert counts(push(house, connection, changed)) == {"updated": 3}
    assert counts(push(house, connection, changed)) == {"unchanged": 3}


def test_a_search_that_lags_makes_nothing_twice(house, sandbox, connection):
    sandbox.behave("hubspot", lag_ms=60_000)
    records = [contact("c1", "p1", company_domain="one.example", email="a@one.example")]
    push(house, connection, records)
    with house.database.transaction() as connection_:
        connection_.execute(text("DELETE FROM id_map"))
    report = push(house, connection, records)
    assert counts(report) == {"updated": 1}
    told = sandbox.tally("hubspot")
    assert (told["contacts"], told["companies"]) == (1, 1)


def test_throttling_pauses_the_connection_shows_until_when_and_is_no_failure(
    house, sandbox, connection
):
    push(house, connection, [contact("c0")])
    sandbox.behave("hubspot", fault="rate_limited", times=1, window_s=4)
    job_id = submit(house, connection, [contact("c1")])
    run_once(house, job_id)
    report = job_runs.report(house, job_id)
    assert (report.state, report.waiting_reason) == ("running", "rate_limited")
    assert report.waiting_until is not None
    with house.database.transaction() as connection_:
        failures = connection_.execute(text("SELECT max(failures) FROM chunks"))
        assert failures.scalar_one() == 0
    # Another job of the connection does not ask either.
    asked = sandbox.tally("hubspot")["requests"]
    other = submit(house, connection, [contact("c2")])
    run_once(house, other)
    assert sandbox.tally("hubspot")["requests"] == asked
    assert counts(run(house, job_id)) == {"created": 1}
    assert counts(run(house, other)) == {"created": 1}


def test_a_days_budget_that_is_used_up_is_waited_for_by_name(
    house, sandbox, connection
):
    sandbox.behave("hubspot", daily=0)
    job_id = submit(house, connection, [contact("c1")])
    run_once(house, job_id)
    assert job_runs.report(house, job_id).waiting_reason == "daily_limit"
    job_control.cancel(house, job_id)
    assert run(house, job_id).settled == 0


def test_a_token_that_is_not_taken_parks_the_job_and_tells_its_user(house, sandbox):
    url = {"url": f"{sandbox.url}/hubspot"}
    revoked = connect(house, "hubspot", url, {"access_token": "revoked"})
    report = push(house, revoked, [contact("c1")])
    assert (report.state, report.waiting_reason) == ("paused", "needs_reconnect")
    assert connections.get(house, revoked).state == "needs_reconnect"
    with house.database.transaction() as connection_:
        (told,) = notifications.of_license(connection_, "acme", before=None, limit=9)
    assert (told.user_id, told.code) == ("user-1", "job_parked")
    with pytest.raises(Refused, match="still pushes to it"):
        connections.delete(house, revoked)
    job_control.cancel(house, report.id)
    assert (run(house, report.id).state, report.settled) == ("cancelled", 0)
    connections.delete(house, revoked)
    with pytest.raises(Refused, match="there is no connection"):
        push(house, revoked, [contact("c1")])


def test_a_job_whose_crm_rejects_too_much_parks_until_somebody_lets_it_go_on(
    wired, house, connection
):
    few = wired(push_rejections_min=3, batch_records=10)
    records = [
        contact(f"c{n}", f"p{n}", email="no address" if n < 15 else "")
        for n in range(40)
    ]
    report = push(few, connection, records)
    assert (report.state, report.waiting_reason) == ("paused", "too_many_rejections")
    assert counts(report) == {"rejected": 10}
    job_control.resume(few, report.id)
    report = run(few, report.id)
    assert (report.state, counts(report)) == (
        "partial",
        {"created": 25, "rejected": 15},
    )


def test_whoever_is_erased_while_the_crm_is_prepared_is_not_sent(
    house, sandbox, connection, monkeypatch
):
    job_id = submit(house, connection, [contact("c1", "p1"), contact("c2", "p2")])
    prepare = HubSpot.prepare

    def prepare_slowly(self: HubSpot) -> None:
        prepare(self)
        person_erasure.erase(house, "p1")

    monkeypatch.setattr(HubSpot, "prepare", prepare_slowly)
    report = run(house, job_id)
    assert (report.state, counts(report)) == (
        "succeeded",
        {"created": 1, "excluded": 1},
    )
    assert sandbox.tally("hubspot")["contacts"] == 1


def test_the_rejected_alone_are_tried_again_after_the_mapping_and_nothing_paid_twice(
    house, sandbox, connection
):
    mapping = {"person": {"person_stage": "lifecyclestage"}}
    records = [
        contact("c1", "p1", stage="lead"),
        contact("c2", "p2", stage="no such stage"),
    ]
    report = push(house, connection, records, mapping=mapping, reject_invalid=True)
    assert (counts(report), report.settled) == ({"created": 1, "rejected": 1}, 2)
    (rejected,) = [row for row in outcomes_of(house, report.id) if row.code]
    assert (rejected.code, rejected.field) == ("invalid_option", "lifecyclestage")
    again = run(
        house,
        job_retry.retry(house, report.id, changes=RetryChanges(mapping={"person": {}})),
    )
    assert (again.records, counts(again), again.settled) == (1, {"created": 1}, 0)
    assert sandbox.tally("hubspot")["contacts"] == 2


def test_a_dry_run_reads_only_looks_nobody_up_and_costs_nothing(
    house, sandbox, connection
):
    job_runs.know(house, "p1", "p2")
    push(house, connection, [contact("c1", "p1")], retrieve=(Item.EMAIL,))
    before = sandbox.tally("hubspot")["paths"]
    records = [
        contact("c1", "p1"),
        contact("c1", "p2"),
        contact("c2", company_name="New"),
    ]
    request = request_of(connection, retrieve=(Item.EMAIL,))
    dry_run_id = dry_runs.create(house, request, reading_of(records))
    job_runs.complete(house)
    dry = dry_runs.get(house, dry_run_id)
    assert dry.state == "succeeded"
    assert (dry.unchanged, dry.create, dry.update) == (1, 2, 0)
    asked = {
        path: count - before.get(path, 0)
        for path, count in sandbox.tally("hubspot")["paths"].items()
    }
    written = {path for path, count in asked.items() if count and _writes(path)}
    assert written == set()
    assert job_runs.balance(house).spent == 2


def _writes(path):
    reads = ("batch/read", "/search")
    return not path.startswith("GET") and not path.endswith(reads)


def test_an_unpaid_finding_is_in_no_rejection(house, sandbox, connection):
    job_runs.know(house, "p1")
    sandbox.behave("hubspot", refusals="whole")
    mapping = {"person": {"email": "lifecyclestage"}}
    report = push(
        house,
        connection,
        [contact("c1", "p1")],
        retrieve=(Item.EMAIL,),
        mapping=mapping,
    )
    assert counts(report) == {"rejected": 1}
    (row,) = outcomes_of(house, report.id)
    assert "p1@example.com" not in (row.message or "").lower()
    assert _rules(house, report.id) == {("company", "c1"): (1, "price")}


def test_secrets_are_encrypted_and_never_shown(house, sandbox, connection):
    with house.database.transaction() as connection_:
        kept = connection_.execute(text("SELECT secrets FROM connections")).scalar_one()
    assert "token-of-the-tests" not in kept
    assert "token-of-the-tests" not in repr(connections.get(house, connection))
    tested = connections.test(house, connection)
    assert tested.ok
    assert "token-of-the-tests" not in repr(tested)


def test_a_job_that_is_cancelled_with_a_dead_worker_pays_for_what_was_sent(
    house, sandbox, connection, monkeypatch
):
    job_id = submit(house, connection, [contact(f"c{n}", f"p{n}") for n in range(250)])
    die_after_sending(house, job_id, monkeypatch)
    job_control.cancel(house, job_id)
    assert job_runs.report(house, job_id).state == "cancelling"
    let_go(house, job_id)
    report = run(house, job_id)
    assert (report.state, counts(report)) == (
        "cancelled",
        {"created": 100, "unreached": 150},
    )
    assert (report.settled, report.released) == (100, 150)
    assert sandbox.tally("hubspot")["contacts"] == 100


@pytest.fixture
def pushed(house, sandbox, connection):
    """Two persons of one company that are in the CRM; the id each has there."""
    push(house, connection, [contact("c1", "p1"), contact("c1", "p2")])
    shown = httpx.get(f"{sandbox.url}/_sandbox/hubspot/records").json()
    return {one["properties"]["holdfast_id"]: one["id"] for one in shown}


def _doors(sandbox):
    return f"{sandbox.url}/_sandbox/hubspot/records"


def test_what_was_deleted_there_is_excluded_and_created_anew_only_where_asked(
    house, sandbox, connection, pushed
):
    assert httpx.delete(_doors(sandbox), params={"id": pushed["p1"]}).status_code == 200
    records = [contact("c1", "p1"), contact("c1", "p2", title="New")]
    report = push(house, connection, records)
    assert counts(report) == {"updated": 1, "excluded": 1}
    first, _ = outcomes_of(house, report.id)
    assert (first.outcome, first.code) == ("excluded", "deleted_in_crm")
    assert sandbox.tally("hubspot")["contacts"] == 1
    again = push(house, connection, records, recreate_deleted=True)
    assert counts(again) == {"created": 1, "unchanged": 1}
    assert sandbox.tally("hubspot")["contacts"] == 2


def test_nothing_is_sent_or_charged_of_a_company_whose_only_person_is_left_alone(
    wired, house, sandbox, connection, pushed
):
    for their_id in pushed.values():
        httpx.delete(_doors(sandbox), params={"id": their_id})
    later = wired(days=40)
    changed = {"company_name": "Changed"}
    records = [contact("c1", "p1", **changed), contact("c1", "p2", **changed)]
    before = sandbox.tally("hubspot")["paths"]
    report = push(later, connection, records)
    assert (counts(report), report.settled) == ({"excluded": 2}, 0)
    asked = sandbox.tally("hubspot")["paths"]
    assert not {p for p in asked if asked[p] > before.get(p, 0) and _writes(p)}


def test_who_is_not_to_be_contacted_is_excluded_and_a_dry_run_says_so(
    house, sandbox, connection
):
    person = {"email": "a@one.example", "hs_email_optout": "true"}
    httpx.post(_doors(sandbox), json=[person]).raise_for_status()
    records = [contact("c1", "p1", email="a@one.example"), contact("c2", "p2")]
    dry_run_id = dry_runs.create(house, request_of(connection), reading_of(records))
    job_runs.complete(house)
    dry = dry_runs.get(house, dry_run_id)
    assert (dry.exclude, dry.create) == (1, 1)
    report = push(house, connection, records)
    assert (counts(report), report.settled) == ({"created": 1, "excluded": 1}, 1)
    assert outcomes_of(house, report.id)[0].code == "do_not_contact"


def test_a_merged_record_is_followed_and_another_of_ours_is_not_overwritten_by_it(
    house, sandbox, connection, pushed
):
    ours, theirs = pushed["p1"], pushed["p2"]
    merge = f"{_doors(sandbox)[:-8]}/merge"
    both = httpx.post(merge, json=[ours, theirs]).raise_for_status().json()["id"]
    records = [contact("c1", "p1", title="A"), contact("c1", "p2", title="B")]
    report = push(house, connection, records)
    assert counts(report) == {"updated": 1, "excluded": 1}
    assert outcomes_of(house, report.id)[1].code == "merged_in_crm"
    # Somebody else's record that ours was merged into is ours from now on.
    other = httpx.post(_doors(sandbox), json=[{"lastname": "Other"}]).json()[0]
    stays = httpx.post(merge, json=[other, both]).raise_for_status().json()["id"]
    report = push(house, connection, [contact("c1", "p1", title="C")])
    assert counts(report) == {"updated": 1}
    (shown,) = httpx.get(_doors(sandbox)).json()
    assert (shown["id"], shown["properties"]["jobtitle"]) == (stays, "C")


def test_a_company_in_doubt_is_paid_for_though_its_person_is_left_alone_by_then(
    house, sandbox, connection, monkeypatch
):
    person = {"email": "a@one.example"}
    (their_id,) = httpx.post(_doors(sandbox), json=[person]).json()
    job_id = submit(house, connection, [contact("c1", "p1", **person)])

    def dying(*given):
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(PushDelivery, "_push_persons", dying)
        with pytest.raises(Killed):
            run_once(house, job_id)
    flagged = {"id": their_id, "hs_email_optout": "true"}
    httpx.patch(_doors(sandbox), json=flagged).raise_for_status()
    let_go(house, job_id)
    report = run(house, job_id)
    assert (counts(report), report.settled) == ({"rejected": 1}, 1)
    assert outcomes_of(house, job_id)[0].code == "do_not_contact"


def _opt_out(sandbox):
    (person,) = httpx.get(_doors(sandbox)).json()
    flagged = {"id": person["id"], "hs_email_optout": "true"}
    httpx.patch(_doors(sandbox), json=flagged).raise_for_status()


def test_who_opts_out_before_they_were_sent_is_not_sent_when_the_job_goes_on(
    house, sandbox, connection, monkeypatch
):
    person = {"email": "a@one.example"}
    httpx.post(_doors(sandbox), json=[person]).raise_for_status()
    push(house, connection, [contact("c1")])
    job_id = submit(house, connection, [contact("c1", "p1", **person)])
    write = HubSpot.write

    def throttled(self, kind, rows):
        if kind is Kind.PERSON:
            raise Throttled("too many requests", 0.01)
        return write(self, kind, rows)

    with monkeypatch.context() as patched:
        patched.setattr(HubSpot, "write", throttled)
        run_once(house, job_id)
    _opt_out(sandbox)
    before = httpx.get(_doors(sandbox)).json()
    report = run(house, job_id)
    assert (counts(report), report.settled) == ({"excluded": 1}, 0)
    assert outcomes_of(house, job_id)[0].code == "do_not_contact"
    assert httpx.get(_doors(sandbox)).json() == before


def test_who_opts_out_after_they_were_sent_is_paid_for_and_not_written_again(
    house, sandbox, connection, monkeypatch
):
    push(house, connection, [contact("c1")])
    job_id = submit(house, connection, [contact("c1", "p1")])
    die_after_sending(house, job_id, monkeypatch)
    _opt_out(sandbox)
    before = sandbox.tally("hubspot")["paths"]
    let_go(house, job_id)
    report = run(house, job_id)
    assert counts(report) == {"created": 1}
    after = sandbox.tally("hubspot")["paths"]
    assert not any(after[p] > before.get(p, 0) for p in after if p.endswith("/upsert"))


def test_a_person_in_doubt_is_paid_for_though_the_company_is_gone_by_then(
    wired, house, sandbox, connection, monkeypatch
):
    push(house, connection, [contact("c1")])
    companies = {"type": "companies"}
    (company,) = httpx.get(_doors(sandbox), params=companies).json()
    # What was paid for the company before frees nothing now.
    later = wired(days=40)
    job_id = submit(later, connection, [contact("c1", "p1")])
    die_after_sending(later, job_id, monkeypatch)
    gone = httpx.delete(_doors(sandbox), params=companies | {"id": company["id"]})
    gone.raise_for_status()
    let_go(later, job_id)
    report = run(later, job_id)
    assert (counts(report), report.settled) == ({"created": 1}, 1)
    with house.database.transaction() as connection_:
        assert connection_.execute(text("SELECT count(*) FROM intents")).scalar() == 0


@pytest.fixture
def two_chunks(wired, house, connection, monkeypatch):
    """Runs two chunks of a job, of which the first is left in doubt; its id."""

    def silent(*_):
        raise Unavailable("no answer", until_s=0)

    def ran(records, between):
        deps = wired(batch_records=1, chunk_records=1)
        job_id = submit(deps, connection, records)
        with deps.database.transaction() as open_:
            ids = open_.execute(text("SELECT id FROM chunks ORDER BY first")).scalars()
            first, second = ids
        with monkeypatch.context() as patched:
            patched.setattr(HubSpot, "link", silent)
            chunk_runner.run_chunk(deps, first)
        between()
        chunk_runner.run_chunk(deps, second)
        return job_id

    return ran


def test_who_opts_out_is_left_alone_though_another_batch_was_about_to_send_them(
    house, sandbox, two_chunks
):
    records = [contact("c1", "p1"), contact("c2", "p1", title="T")]
    job_id = two_chunks(records, lambda: _opt_out(sandbox))
    (second,) = outcomes_of(house, job_id)
    assert (second.outcome, second.code) == ("excluded", "do_not_contact")
    assert sandbox.tally("hubspot")["companies"] == 1


def test_a_company_of_two_batches_gets_what_each_has_of_it(house, sandbox, two_chunks):
    records = [contact("c1", "p1"), contact("c1", "p2", company_domain="one.example")]
    job_id = two_chunks(records, lambda: None)
    companies = httpx.get(_doors(sandbox), params={"type": "companies"}).json()
    assert companies[0]["properties"]["domain"] == "one.example"
    assert run(house, job_id).settled == 1


def test_a_worker_that_was_fenced_off_sends_nothing_more(
    house, sandbox, connection, monkeypatch
):
    job_id = submit(house, connection, [contact("c1", "p1")])
    look = PushDelivery._look

    def late(self, *given):
        with house.database.transaction() as connection_:
            connection_.execute(text("UPDATE chunks SET attempt = attempt + 1"))
        return look(self, *given)

    monkeypatch.setattr(PushDelivery, "_look", late)
    assert run_once(house, job_id) == 1
    monkeypatch.undo()
    assert sandbox.tally("hubspot")["companies"] == 0
    let_go(house, job_id)
    assert counts(run(house, job_id)) == {"created": 1}
