"""Each fault of a provider, with the exact charges at the end."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest

from storage.state_machine import JobState
from tests.findings.conftest import BOTH
from worker.sandbox.people import contact_of

TWENTY = [f"p{number}" for number in range(20)]

_PASSING = ("server_error", "slow", "garbled", "cut")


def _vendor(house, name, **changed):
    return house.another(
        providers=f"directory,{name}",
        provider_timeout_s=0.5,
        provider_failures_max=3,
        **changed,
    )


def _exact(house, report, vendor):
    """Whoever has something is charged for, once, and nobody else."""
    assert report.state is JobState.SUCCEEDED
    assert report.delivered == 20
    assert report.settled == 1 + report.emails_found + 2 * report.phones_found
    assert list(house.costs(report.id)) == [vendor]


@pytest.mark.parametrize("fault", _PASSING)
@pytest.mark.parametrize("vendor", ["hunter", "people_data_labs"])
def test_a_passing_fault_costs_time_and_nothing_else(house, vendor, fault):
    deps = _vendor(house, vendor)
    slow = {"slow_ms": 1000, "times": 2}
    house.sandbox.behave(vendor, fault=fault, **({"times": 3} | slow))
    report = house.run(house.submit(TWENTY, retrieve=BOTH), deps)
    _exact(house, report, vendor)
    if vendor == "hunter":
        assert report.emails_found > 10
        # Each has an address, whatever its status: all were paid for, once.
        assert house.costs(report.id) == {"hunter": Decimal(20)}
    else:
        assert report.phones_found == 20
        assert house.costs(report.id) == {vendor: Decimal(20)}


@pytest.mark.parametrize("fault", ["fewer", "shuffled"])
@pytest.mark.parametrize("vendor", ["people_data_labs", "fullenrich"])
def test_answers_belong_to_whom_they_name(house, vendor, fault):
    deps = _vendor(house, vendor)
    house.sandbox.behave(vendor, fault=fault, times=1)
    job_id = house.submit(TWENTY, retrieve=BOTH)
    report = house.run(job_id, deps)
    _exact(house, report, vendor)
    # Who is asked at once is asked again; a finished report is not sent again.
    left_out = fault == "fewer" and vendor == "fullenrich"
    assert report.phones_found == (19 if left_out else 20)
    phones = {
        line.split(",")[3]: line.split(",")[-1]
        for line in house.file(job_id).splitlines()[1:]
    }
    found = {person: phone for person, phone in phones.items() if phone}
    assert found == {
        person: contact_of(person, "Lovelace", "engine.example", hit_rate=1).phone
        for person in found
    }
    assert len(found) == report.phones_found


def test_where_the_first_is_out_of_credits_the_next_is_asked(house):
    deps = house.another(providers="directory,hunter,fullenrich")
    house.sandbox.behave("hunter", fault="out_of_credits", times=1000)
    report = house.run(house.submit(TWENTY), deps)
    _exact(house, report, "fullenrich")
    assert house.sandbox.tally("hunter")["persons"] == 0


def test_a_short_429_is_waited_for_and_a_long_one_keeps_the_providers_turn(house):
    house.sandbox.behave("hunter", fault="rate_limited", times=1)
    report = house.run(house.submit(TWENTY), _vendor(house, "hunter"))
    _exact(house, report, "hunter")
    labs = house.another(providers="directory,people_data_labs,hunter")
    house.sandbox.behave("people_data_labs", fault="rate_limited", times=1)
    job_id = house.submit([f"other-{name}" for name in TWENTY], retrieve=BOTH)
    report = house.turn(job_id, labs)
    assert (report.waiting_reason, report.settled) == ("rate_limited", 0)
    assert house.costs(job_id) == {}


def test_where_all_are_out_of_credits_the_chunk_waits_and_says_why(house):
    deps = house.another(providers="directory,hunter,people_data_labs")
    for vendor in ("hunter", "people_data_labs"):
        house.sandbox.behave(vendor, fault="out_of_credits", times=1)
    job_id = house.submit(TWENTY)
    report = house.turn(job_id, deps)
    assert (report.state, report.waiting_reason) == (JobState.RUNNING, "out_of_credits")
    assert (report.delivered, report.settled) == (0, 0)
    # Another worker knows without asking.
    asked = house.sandbox.tally("hunter")["requests"]
    house.turn(job_id, house.another(providers="directory,hunter,people_data_labs"))
    assert house.sandbox.tally("hunter")["requests"] == asked


def test_a_provider_that_is_down_is_left_alone_by_all_until_it_has_rested(house):
    deps = _vendor(house, "hunter", provider_rest_s=60)
    house.sandbox.behave("hunter", fault="server_error", times=1000)
    job_id = house.submit(TWENTY)
    report = house.turn(job_id, deps)
    assert (report.waiting_reason, report.settled) == ("provider_down", 0)
    asked = house.sandbox.tally("hunter")["requests"]
    assert asked < 60
    again = house.submit(TWENTY)
    assert house.turn(again, _vendor(house, "hunter")).delivered == 0
    assert house.sandbox.tally("hunter")["requests"] == asked


def test_a_rate_is_kept_by_all_workers_together(house):
    settings = {"providers": "directory,hunter", "hunter_rate": "10/minute"}
    workers = [house.another(**settings) for _ in range(2)]
    jobs = [house.submit([f"{one}{name}" for name in TWENTY]) for one in "ab"]
    with ThreadPoolExecutor(2) as pool:
        reports = list(pool.map(house.turn, jobs, workers))
    assert {report.waiting_reason for report in reports} == {"rate_limited"}
    assert house.sandbox.tally("hunter")["persons"] == 10


def test_jobs_that_want_the_same_at_once_pay_for_it_once(house):
    house.sandbox.behave("hunter", latency_ms=50)
    workers = [house.another() for _ in range(4)]
    jobs = [house.submit(TWENTY) for _ in workers]
    with ThreadPoolExecutor(4) as pool:
        reports = list(pool.map(house.run, jobs, workers))
    tally = house.sandbox.tally("hunter")
    assert (tally["persons"], tally["asked_twice"]) == (20, 0)
    assert sum(sum(house.costs(job).values()) for job in jobs) == 20
    assert len({report.emails_found for report in reports}) == 1
