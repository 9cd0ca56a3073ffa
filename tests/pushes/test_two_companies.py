"""A person at two companies: each record ends by its own company, and pays for that."""

import httpx
import pytest

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
from worker.pushes.push_delivery import PushDelivery


def _doors(sandbox, vendor="hubspot"):
    return f"{sandbox.url}/_sandbox/{vendor}/records"


def _ends(house, report):
    return [(str(one.outcome), one.change) for one in outcomes_of(house, report.id)]


def test_the_second_record_updates_who_the_first_has_created(house, connection):
    report = push(house, connection, [contact("c1", "p1"), contact("c2", "p1")])
    assert _ends(house, report) == [("delivered", "created"), ("delivered", "updated")]
    assert report.settled == 2


@pytest.mark.parametrize("bad_first", [True, False])
def test_a_company_that_the_crm_rejects_is_not_paid_for_by_its_persons_other_one(
    house, sandbox, bad_first
):
    sandbox.behave("pipedrive", limit=100_000, searches=100_000)
    url = {"url": f"{sandbox.url}/pipedrive"}
    connection = connect(house, "pipedrive", url, {"api_token": "token"})
    records = [contact("c1", "p1", company_name=""), contact("c2", "p1")]
    report = push(house, connection, records if bad_first else records[::-1])
    assert (counts(report), report.settled) == ({"created": 1, "rejected": 1}, 1)
    told = sandbox.tally("pipedrive")
    assert (told["companies"], told["contacts"]) == (1, 1)


@pytest.mark.parametrize("deleted_first", [True, False])
def test_a_company_that_was_deleted_leaves_out_its_record_and_not_the_persons_other(
    wired, house, sandbox, connection, deleted_first
):
    push(house, connection, [contact("c1")])
    companies = {"type": "companies"}
    (there,) = httpx.get(_doors(sandbox), params=companies).json()
    httpx.delete(_doors(sandbox), params=companies | {"id": there["id"]})
    records = [contact("c1", "p1"), contact("c2", "p1")]
    # What was paid for the company before frees nothing now.
    later = wired(days=40)
    report = push(later, connection, records if deleted_first else records[::-1])
    assert (counts(report), report.settled) == ({"created": 1, "excluded": 1}, 1)


def test_what_was_sent_of_both_companies_is_paid_for_though_the_person_opts_out(
    house, sandbox, connection, monkeypatch
):
    person = {"email": "a@one.example"}
    (their_id,) = httpx.post(_doors(sandbox), json=[person]).json()
    records = [contact("c1", "p1", **person), contact("c2", "p1", **person)]
    job_id = submit(house, connection, records)

    def dying(*_):
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(PushDelivery, "_push_persons", dying)
        with pytest.raises(Killed):
            run_once(house, job_id)
    flagged = {"id": their_id, "hs_email_optout": "true"}
    httpx.patch(_doors(sandbox), json=flagged).raise_for_status()
    let_go(house, job_id)
    report = run(house, job_id)
    assert (counts(report), report.settled) == ({"rejected": 2}, 2)
    assert {one.code for one in outcomes_of(house, job_id)} == {"do_not_contact"}


def test_each_record_sends_all_of_its_own_fields(house, sandbox, connection):
    records = [contact("c1", "p1"), contact("c2", "p1", title="Board")]
    push(house, connection, records)
    (person,) = httpx.get(_doors(sandbox)).json()
    assert person["properties"]["jobtitle"] == "Board"
    assert counts(push(house, connection, records[1:])) == {"unchanged": 1}


def test_blanks_alone_are_filled_by_the_first_record_and_then_by_the_second(
    house, sandbox, connection
):
    httpx.post(_doors(sandbox), json=[{"email": "a@one.example"}]).raise_for_status()
    first = contact("c1", "p1", email="a@one.example", title="First")
    second = contact("c2", "p1", title="Second", phone="+32 2 555 01 01")
    push(house, connection, [first, second], overwrite="if_empty")
    (person,) = httpx.get(_doors(sandbox)).json()
    of_person = person["properties"]
    assert (of_person["jobtitle"], of_person["phone"]) == ("First", "+32 2 555 01 01")


def test_two_of_ours_that_were_merged_end_also_where_one_has_another_company(
    house, sandbox, connection
):
    push(house, connection, [contact("c1", "p1"), contact("c1", "p2")])
    ids = [one["id"] for one in httpx.get(_doors(sandbox)).json()]
    merge = _doors(sandbox).replace("/records", "/merge")
    httpx.post(merge, json=ids).raise_for_status()
    records = [contact("c1", "p2", title="A"), contact("c1", "p1"), contact("c2", "p1")]
    report = push(house, connection, records)
    assert counts(report) == {"updated": 1, "excluded": 2}
    assert sandbox.tally("hubspot")["companies"] == 1
