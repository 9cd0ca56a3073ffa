"""Pushes into Pipedrive, which cannot upsert: a key is held while it is created by."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from tests.support import job_runs
from tests.support.push_runs import (
    Killed,
    connect,
    contact,
    counts,
    let_go,
    outcomes_of,
    push,
    run,
    run_once,
    submit,
)
from worker.connections import connections
from worker.connections.connectors.connector import Kind, Row, Written
from worker.connections.connectors.errors import Throttled, Unavailable
from worker.connections.connectors.pipedrive.connector import Pipedrive
from worker.connections.key_locks import HeldKeys
from worker.sandbox.pipedrive.fields import code_of
from worker.wiring import Wired

_AMPLE = {"limit": 100_000, "searches": 100_000}


@pytest.fixture
def house(wired) -> Wired:
    deps: Wired = wired(crm_settle_s=0.2, crm_timeout_s=1, retry_base_s=0.1)
    job_runs.create_license(deps, credits_granted=100_000)
    return deps


@pytest.fixture
def connection(house, sandbox):
    url = {"url": f"{sandbox.url}/pipedrive"}
    sandbox.behave("pipedrive", **_AMPLE)
    return connect(house, "pipedrive", url, {"api_token": "token"})


def _doors(sandbox):
    return f"{sandbox.url}/_sandbox/pipedrive/records"


def _shown(sandbox, kind):
    shown: list[dict[str, Any]] = httpx.get(
        _doors(sandbox), params={"type": kind}
    ).json()
    return shown


def test_workers_that_push_the_same_new_records_at_once_create_each_once(
    wired, house, sandbox, connection
):
    sandbox.behave("pipedrive", **_AMPLE, lag_ms=60_000, latency_ms=2)
    records = [contact(f"c{n}", f"p{n}") for n in range(10)]
    workers = [wired(crm_settle_s=0.2) for _ in range(4)]
    job_ids = [submit(house, connection, records) for _ in workers]
    with ThreadPoolExecutor(4) as threads:
        reports = list(threads.map(run, workers, job_ids))
    told = sandbox.tally("pipedrive")
    assert (told["contacts"], told["companies"]) == (10, 10)
    assert sum(report.settled for report in reports) == 10
    assert sum(report.created for report in reports) >= 10


@pytest.fixture
def killed(house, connection, monkeypatch):
    """A job whose worker was killed between creating its first record and noting it."""

    def die(*_):
        raise Killed

    job_id = submit(house, connection, [contact(f"c{n}", f"p{n}") for n in range(5)])
    with monkeypatch.context() as patched:
        patched.setattr(HeldKeys, "remember", die)
        with pytest.raises(Killed):
            run_once(house, job_id)
    let_go(house, job_id)
    return job_id


def _is_once(house, sandbox, job_id):
    report = run(house, job_id)
    assert (counts(report), report.settled) == ({"created": 5}, 5)
    told = sandbox.tally("pipedrive")
    assert (told["contacts"], told["companies"]) == (5, 5)


def test_the_one_record_in_doubt_is_found_again_by_its_key(house, sandbox, killed):
    assert sandbox.tally("pipedrive")["companies"] == 1
    _is_once(house, sandbox, killed)


def _fail_once(monkeypatch, method, when, error):
    """Have a method of the connector fail the first time that something is so."""
    real = getattr(Pipedrive, method)
    failed: list[object] = []

    def failing(self, *given):
        if not failed and when(*given):
            failed.append(given)
            raise error
        return real(self, *given)

    monkeypatch.setattr(Pipedrive, method, failing)


def test_a_doubt_outlives_whoever_could_not_look_for_the_record(
    house, sandbox, killed, monkeypatch
):
    busy = Throttled("too many requests", 0.05)
    _fail_once(monkeypatch, "_left_in_doubt", lambda *given: given[2].in_doubt, busy)
    _is_once(house, sandbox, killed)


def test_what_was_found_again_is_remembered_though_its_batch_fails_later(
    house, sandbox, killed, monkeypatch
):
    busy = Throttled("too many requests", 0.05)
    _fail_once(monkeypatch, "_write", lambda _, row: row.id == "c1", busy)
    _is_once(house, sandbox, killed)


def test_what_was_made_and_could_not_be_noted_is_found_again(
    house, sandbox, connection, monkeypatch
):
    job_id = submit(house, connection, [contact(f"c{n}", f"p{n}") for n in range(5)])

    def fail(*_):
        raise RuntimeError("the database has gone away")

    with monkeypatch.context() as patched:
        patched.setattr(HeldKeys, "remember", fail)
        run_once(house, job_id)
    assert sandbox.tally("pipedrive")["companies"] == 1
    _is_once(house, sandbox, job_id)


def test_a_hold_that_somebody_else_has_by_now_sends_nothing(house, connection):
    there = connections.get(house, connection)
    mine, other = (house.crms.open(there, lambda: None).connector for _ in range(2))
    mine.prepare()
    row = Row(id="c1", fields={"name": "One"})
    with mine._keys.held(Kind.COMPANY, row.id):
        with house.database.transaction() as open_:
            open_.execute(text("UPDATE held_keys SET held_until = now()"))
        assert isinstance(other.write(Kind.COMPANY, [row])[row.id], Written)
        with pytest.raises(Unavailable) as caught:
            mine._send("POST", Kind.COMPANY, row, "")
        assert not caught.value.sent


def test_tokens_are_spent_on_what_has_to_be_asked(house, sandbox, connection):
    records = [contact(f"c{n}", f"p{n}") for n in range(100)]
    push(house, connection, [contact("before")])

    def spent(**fields: str) -> int:
        before: int = sandbox.tally("pipedrive")["tokens"]
        changed = [contact(f"c{n}", f"p{n}", **fields) for n in range(100)]
        push(house, connection, changed if fields else records)
        after: int = sandbox.tally("pipedrive")["tokens"]
        return after - before

    new, same, changed = spent(), spent(), spent(phone="+32 2 555 01 01")
    print(f"tokens for 100 companies and 100 persons: {new} {same} {changed}")
    # A search and a write each, some lists for all; then two lists; then the writes,
    # and a look at each person's other numbers.
    assert new <= 200 * (20 + 5) + 100
    assert same <= 100
    assert changed <= same + 100 * (5 + 1)


def test_a_days_tokens_that_are_used_up_are_waited_for_by_name(
    house, sandbox, connection
):
    sandbox.behave("pipedrive", **_AMPLE, daily=62)
    job_id = submit(house, connection, [contact(f"c{n}", f"p{n}") for n in range(9)])
    run_once(house, job_id)
    report = job_runs.report(house, job_id)
    assert (report.state, report.waiting_reason) == ("running", "daily_limit")


def test_searches_keep_to_a_burst_of_their_own_and_not_to_the_connections(
    wired, house, sandbox, connection
):
    sandbox.behave("pipedrive", limit=100_000, window_s=0.4)
    workers = [wired(crm_settle_s=0.2) for _ in range(2)]
    job_ids = [
        submit(house, connection, [contact(f"c{half}-{n}") for n in range(10)])
        for half in range(2)
    ]
    with ThreadPoolExecutor(2) as threads:
        reports = list(threads.map(run, workers, job_ids))
    told = sandbox.tally("pipedrive")
    assert [counts(report) for report in reports] == [{"created": 10}] * 2
    assert told["refused"] == 0
    searches = told["paths"]["GET /api/v2/organizations/search"]
    assert searches == 20


def test_our_key_is_found_on_whatever_page_of_a_search_it_is(
    house, sandbox, connection
):
    push(house, connection, [contact("1")])
    (ours,) = _shown(sandbox, "companies")
    crowd = [{"name": f"N{n}", "custom_fields": {"x": "1"}} for n in range(501)]
    params = {"type": "companies"}
    httpx.delete(_doors(sandbox), params=params | {"id": ours["id"]})
    httpx.post(_doors(sandbox), params=params, json=crowd).raise_for_status()
    again = {"name": "Ours", "custom_fields": ours["fields"]["custom_fields"]}
    httpx.post(_doors(sandbox), params=params, json=[again]).raise_for_status()
    report = push(house, connection, [contact("1", company_name="New")])
    assert counts(report) == {"updated": 1}


def test_options_labels_owners_and_organizations_are_written_by_their_ids(
    house, sandbox, connection
):
    records = [contact("c1", "p1", stage="Customer", email="a@b.example")]
    how = {"mapping": {"person": {"person_stage": code_of("Stage")}}}
    push(house, connection, records, owner="ada@ours.example", tags=["New"], **how)
    (person,) = httpx.get(_doors(sandbox)).json()
    fields = person["fields"]
    assert fields["custom_fields"][code_of("Stage")] == 2
    assert fields["owner_id"] == 11
    assert fields["emails"][0]["value"] == "a@b.example"
    (company,) = httpx.get(_doors(sandbox), params={"type": "companies"}).json()
    assert fields["org_id"] == company["id"]
    assert fields["label_ids"] == [3]


def test_a_person_is_known_by_address_unless_they_are_another_of_ours(
    house, sandbox, connection
):
    theirs = {"name": "A", "emails": [{"value": "a@b.example"}]}
    (there,) = httpx.post(_doors(sandbox), json=[theirs]).json()
    report = push(house, connection, [contact("c1", "p1", email="a@b.example")])
    assert counts(report) == {"updated": 1}
    (outcome,) = outcomes_of(house, report.id)
    assert outcome.link == f"{sandbox.url}/pipedrive/person/{there}"
    other = push(house, connection, [contact("c1", "p2", email="a@b.example")])
    assert counts(other) == {"created": 1}


def test_who_has_unsubscribed_is_left_alone(house, sandbox, connection):
    theirs = {
        "name": "A",
        "emails": [{"value": "a@b.example"}],
        "marketing_status": "unsubscribed",
    }
    httpx.post(_doors(sandbox), json=[theirs]).raise_for_status()
    report = push(house, connection, [contact("c1", "p1", email="a@b.example")])
    assert (counts(report), report.settled) == ({"excluded": 1}, 0)
    assert outcomes_of(house, report.id)[0].code == "do_not_contact"


def test_what_our_user_may_not_see_is_neither_deleted_nor_made_again(
    house, sandbox, connection
):
    push(house, connection, [contact("c1"), contact("c2")])
    hidden = _doors(sandbox).replace("/records", "/hidden")
    first = _shown(sandbox, "companies")[0]["id"]
    params = {"type": "companies", "id": first}
    httpx.post(hidden, params=params).raise_for_status()
    changed = [contact(one, company_name="New") for one in ("c1", "c2")]
    report = push(house, connection, changed, recreate_deleted=True)
    assert counts(report) == {"updated": 1, "rejected": 1}
    assert outcomes_of(house, report.id)[0].code == "forbidden"
    assert len(_shown(sandbox, "companies")) == 2


def test_a_customers_other_addresses_stay(house, sandbox, connection):
    theirs = {
        "name": "A",
        "emails": [
            {"value": "a@b.example", "primary": True},
            {"value": "private@b.example", "primary": False},
        ],
    }
    httpx.post(_doors(sandbox), json=[theirs]).raise_for_status()
    push(house, connection, [contact("c1", "p1", email="a@b.example")])
    push(house, connection, [contact("c1", "p1", email="new@b.example")])
    (person,) = httpx.get(_doors(sandbox)).json()
    values = [one["value"] for one in person["fields"]["emails"]]
    assert values == ["new@b.example", "private@b.example"]


def test_workers_that_prepare_at_once_make_one_field_for_our_key(
    wired, house, sandbox, connection
):
    sandbox.behave("pipedrive", **_AMPLE, latency_ms=20)
    workers = [wired(crm_settle_s=0.2) for _ in range(4)]
    job_ids = [
        submit(house, connection, [contact(f"c{n}", f"p{n}")], tags=["New"])
        for n in range(4)
    ]
    with ThreadPoolExecutor(4) as threads:
        reports = list(threads.map(run, workers, job_ids))
    assert [report.state for report in reports] == ["succeeded"] * 4
    paths = sandbox.tally("pipedrive")["paths"]
    assert paths["POST /api/v2/personFields"] == 1
    assert paths["POST /api/v2/personFields/label_ids/options"] == 1
