"""A provider that an operator has paused is asked nothing, and not gone without."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from sqlalchemy import text

from storage.operations.action_log import Acting, Actor
from storage.pause_scope import PauseScope
from storage.state_machine import JobState
from tests.findings.conftest import BOTH
from tests.support.fleet import until
from worker.findings import provider_reports
from worker.operations.scope_pauses import pause_scope, resume_scope

TEN = [f"p{number}" for number in range(10)]


def _pause(house, provider: str) -> None:
    by = Acting(Actor("ada", "a test"), "too dear")
    pause_scope(house.deps, PauseScope.PROVIDER, provider, by)


def _resume(house, provider: str) -> None:
    resume_scope(house.deps, PauseScope.PROVIDER, provider)


def _asked(house, vendor: str) -> int:
    persons: int = house.sandbox.tally(vendor)["persons"]
    return persons


@pytest.mark.parametrize("vendor", ["hunter", "people_data_labs", "fullenrich"])
def test_it_is_asked_nothing_and_the_next_one_is_not_asked_instead(house, vendor):
    others = "hunter" if vendor == "people_data_labs" else "people_data_labs"
    house.deps = house.another(providers=f"directory,{vendor},{others}")
    _pause(house, vendor)
    job_id = house.submit(TEN)
    report = house.turn(job_id)
    assert (report.state, report.waiting_reason) == ("running", "provider_paused")
    assert report.waiting_until is None
    assert (_asked(house, vendor), _asked(house, others)) == (0, 0)
    # It waits without being looked at, until it is resumed.
    assert _due(house) == 0
    _resume(house, vendor)
    assert house.report(job_id).waiting_reason is None
    assert _due(house) == 1
    report = house.run(job_id)
    assert (report.state, report.delivered) == (JobState.SUCCEEDED, 10)
    assert _asked(house, vendor) == 10


def _due(house) -> int:
    """How many chunks may run now."""
    with house.deps.database.reading() as connection:
        found: int = connection.execute(
            text("""SELECT count(*) FROM chunks
                     WHERE state = 'pending' AND run_at <= clock_timestamp()""")
        ).scalar_one()
    return found


def test_who_needs_it_not_goes_on(house):
    """Hunter has e-mails alone; and what was found before is not asked for again."""
    house.deps = house.another(providers="directory,hunter,people_data_labs")
    known = house.run(house.submit(TEN))
    asked = _asked(house, "hunter")
    _pause(house, "hunter")
    again = house.run(house.submit(TEN))
    assert again.emails_found == known.emails_found
    phones = house.run(house.submit(TEN, retrieve=BOTH[1:]))
    assert (phones.state, phones.phones_found) == (JobState.SUCCEEDED, 10)
    assert _asked(house, "hunter") == asked


def test_who_verifies_is_asked_nothing_either(house):
    """An address of unknown status waits for its verdict, and is not charged yet."""
    house.deps = house.another(providers="directory,people_data_labs,hunter")
    _pause(house, "hunter")
    job_id = house.submit(TEN)
    report = house.turn(job_id)
    assert (report.waiting_reason, report.settled) == ("provider_paused", 0)
    assert _asked(house, "people_data_labs") == 10
    assert Decimal(house.sandbox.tally("hunter")["charged"]) == 0
    _resume(house, "hunter")
    report = house.run(job_id)
    assert (report.state, report.emails_found) == (JobState.SUCCEEDED, 10)
    assert _asked(house, "people_data_labs") == 10
    assert Decimal(house.sandbox.tally("hunter")["charged"]) == Decimal("5.0")


def test_a_request_under_way_is_not_asked_after_and_its_report_is_taken(house):
    house.deps = house.another(providers="directory,fullenrich")
    house.sandbox.behave("fullenrich", finish_ms=0)
    job_id = house.submit(TEN, retrieve=BOTH)
    assert house.turn(job_id).waiting_reason == "lookup"
    _pause(house, "fullenrich")
    ((_, vendor_id),) = house.lookups()
    _let_wait_no_longer(house)
    assert house.turn(job_id).waiting_reason == "provider_paused"
    assert [state for state, _ in house.lookups()] == ["sent"]
    provider = house.deps.providers.deferred("fullenrich")
    report = house.deps.providers.event_loop.run(provider.poll(vendor_id))
    assert provider_reports.take(house.deps, "fullenrich", report) is not None
    assert house.run(job_id).state is JobState.SUCCEEDED


def _let_wait_no_longer(house) -> None:
    with house.deps.database.transaction() as connection:
        connection.execute(text("UPDATE chunks SET run_at = clock_timestamp()"))


def test_one_that_is_paused_in_the_middle_is_left_at_the_next_beat(house):
    """What has been answered by then is kept, and nobody is asked about twice."""
    persons = [f"p{number}" for number in range(90)]
    house.deps = house.another(provider_concurrency=1, lease_s=1)
    house.sandbox.behave("hunter", latency_ms=50)
    job_id = house.submit(persons)
    with ThreadPoolExecutor() as threads:
        turn = threads.submit(house.turn, job_id)
        until(lambda: _asked(house, "hunter") >= 3)
        _pause(house, "hunter")
        report = turn.result()
    asked = _asked(house, "hunter")
    assert (report.delivered, asked < 90) == (0, True)
    assert house.turn(job_id).waiting_reason == "provider_paused"
    assert _asked(house, "hunter") == asked
    _resume(house, "hunter")
    report = house.run(job_id)
    assert (report.state, report.delivered) == (JobState.SUCCEEDED, 90)
    assert _asked(house, "hunter") == 90
