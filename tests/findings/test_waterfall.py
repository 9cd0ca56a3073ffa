"""Providers in a waterfall: who is asked and paid, and what the buyer is charged."""

from decimal import Decimal

from pricing.findings import EmailLevel
from storage.state_machine import JobState
from tests.findings.conftest import BOTH, House
from tests.support import job_runs
from worker.wiring import Wired

TEN = [f"p{number}" for number in range(10)]


def test_what_the_directory_lacks_is_found_by_the_next(house):
    job_runs.know(house.deps, "p0", "p1")
    job_id = house.submit(TEN)
    report = house.run(job_id)
    assert report.state is JobState.SUCCEEDED
    tally = house.sandbox.tally("hunter")
    assert (tally["persons"], tally["asked_twice"]) == (8, 0)
    assert house.costs(job_id) == {"hunter": Decimal(8)}
    assert house.charged(job_id) == {
        ("company", None): 1,
        ("email", "directory"): 2,
        ("email", "hunter"): report.emails_found - 2,
    }
    # An address at a status that the buyer does not accept was paid, not charged.
    assert report.settled == 1 + report.emails_found
    assert 2 < report.emails_found < 10


def test_the_next_provider_is_asked_about_the_others_alone(house):
    deps = house.another(providers="directory,hunter,people_data_labs")
    house.sandbox.behave("hunter", hit_rate=0.5)
    job_id = house.submit(TEN, retrieve=BOTH)
    report = house.run(job_id, deps)
    assert report.state is JobState.SUCCEEDED
    assert report.phones_found == 10
    hunter, labs = (
        house.sandbox.tally(name) for name in ("hunter", "people_data_labs")
    )
    assert (hunter["persons"], labs["persons"]) == (10, 10)
    assert house.costs(job_id) == {
        "hunter": Decimal(hunter["charged"]),
        "people_data_labs": Decimal(labs["charged"]),
    }
    assert report.settled == 1 + report.emails_found + 2 * 10


def test_what_was_found_is_never_paid_again(house):
    for _ in range(2):
        house.run(house.submit(TEN))
    assert house.sandbox.tally("hunter")["persons"] == 10


def test_who_was_found_nowhere_is_not_asked_about_again(house):
    house.sandbox.behave("hunter", hit_rate=0.0)
    for company in (1, 0):
        report = house.run(house.submit(TEN))
        assert (report.state, report.settled) == (JobState.SUCCEEDED, company)
        assert report.emails_found == 0
    assert house.sandbox.tally("hunter")["persons"] == 10


def test_who_objected_is_asked_about_nowhere_else_and_found_nowhere(house):
    deps = house.another(providers="directory,hunter,people_data_labs")
    job_runs.know(house.deps, "p1")
    job_id = house.submit([("p1", "Lovelace"), ("p2", "Objected")], retrieve=BOTH)
    report = house.run(job_id, deps)
    assert (report.emails_found, report.phones_found) == (1, 1)
    assert house.sandbox.tally("people_data_labs")["persons"] == 0
    # Also under another name, and where the directory learns of an address.
    job_runs.know(house.deps, "p2")
    again = house.run(house.submit(["p2"], retrieve=BOTH), deps)
    assert (again.emails_found, again.phones_found) == (0, 0)
    assert "p2@" not in house.file(again.id)


def test_a_level_that_the_buyer_does_not_accept_is_used_by_one_who_does(house):
    first = house.run(house.submit(TEN, level=EmailLevel.VERIFIED))
    second = house.run(house.submit(TEN, level=EmailLevel.ACCEPT_ALL))
    assert second.emails_found > first.emails_found > 0
    assert house.sandbox.tally("hunter")["persons"] == 10
    assert house.costs(second.id) == {}


def test_who_was_erased_is_not_asked_about(house):
    from worker.retention import person_erasure  # noqa: PLC0415 - the one test that needs it

    house.run(house.submit(TEN))
    assert person_erasure.erase(house.deps, "p0").findings == 1
    house.run(house.submit(TEN))
    assert house.sandbox.tally("hunter")["persons"] == 10


def _labs_then_verified(house: House, **changed: str | int) -> Wired:
    house.sandbox.behave("hunter", hit_rate=0.0, **changed)
    return house.another(providers="people_data_labs,hunter")


def test_an_address_of_unknown_status_is_verified_and_then_charged(house):
    deps = _labs_then_verified(house)
    report = house.run(house.submit(["ada", "bob"]), deps)
    assert report.emails_found == 2
    assert report.settled == 1 + 2
    # The matches of the one, and the verifications of the other: nobody had to find.
    assert house.costs(report.id) == {
        "people_data_labs": Decimal(2),
        "hunter": Decimal("1.0"),
    }
    assert house.charged(report.id) == {
        ("company", None): 1,
        ("email", "people_data_labs"): 2,
    }
    assert house.sandbox.tally("hunter")["persons"] == 0


def test_an_address_is_verified_once_and_the_verdict_reused(house):
    deps = _labs_then_verified(house)
    house.run(house.submit(["ada"]), deps)
    again = house.run(house.submit(["ada"]), deps)
    assert again.emails_found == 1
    assert Decimal(house.sandbox.tally("hunter")["charged"]) == Decimal("0.5")
    assert Decimal(house.sandbox.tally("people_data_labs")["charged"]) == 1


def test_a_verifier_out_of_credits_leaves_the_address_uncharged_and_loses_nothing(
    house,
):
    deps = _labs_then_verified(house, fault="out_of_credits", times=1)
    report = house.run(house.submit(["ada"]), deps)
    assert (report.emails_found, report.settled) == (0, 1)
    assert house.costs(report.id) == {"people_data_labs": Decimal(1)}
