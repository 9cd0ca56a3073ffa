"""What happens when many want the same at once: threads on real connections."""

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import timedelta
from functools import partial
from threading import Barrier
from typing import TypeVar

import pytest
from sqlalchemy import text

from pricing.plans import PaymentTerm
from storage.database import Database
from storage.errors import Conflict, Superseded
from storage.jobs import chunks, job_control, jobs, outbox
from storage.ledger import balances, business_clock, grants, periods
from storage.ledger.reservations import ReserveResult
from storage.licenses import licenses
from storage.refunds.refunds import RefundResult
from tests.support import job_runs, stored_jobs
from tests.support.business_time import shift_to
from tests.support.stored_jobs import (
    charge_of,
    end_job,
    make_job,
    make_license,
    settle,
)
from worker.infrastructure.errors import Code, Refused
from worker.jobs import completion, submission
from worker.wiring import Wired

ROUNDS = 40
T = TypeVar("T")


@pytest.fixture
def crowd(database_url) -> Iterator[Database]:
    """Room for forty connections at once; the others stand in line."""
    with closing(Database(database_url, pool=20)) as database:
        yield database


def at_once(*actions: Callable[[], T]) -> list[T]:
    """Do all of this at the same moment; what came of each, in order."""
    barrier = Barrier(len(actions))

    def wait_and_do(action: Callable[[], T]) -> T:
        barrier.wait()
        return action()

    with ThreadPoolExecutor(len(actions)) as threads:
        return list(threads.map(wait_and_do, actions))


def test_reservations_at_once_never_exceed_what_is_available(crowd):
    with crowd.transaction() as connection:
        make_license(connection, credits_granted=500)

    def reserve(number: int) -> ReserveResult:
        with crowd.transaction() as connection:
            return make_job(connection, f"job-{number}", 75)

    results = at_once(*(partial(reserve, n) for n in range(20)))
    assert Counter(results) == {
        ReserveResult.CREATED: 6,
        ReserveResult.INSUFFICIENT_CREDITS: 14,
    }
    with crowd.transaction() as connection:
        balance = balances.balance(connection, "acme")
    assert balance is not None
    assert (balance.reserved, balance.available) == (450, 50)


def test_of_a_hundred_closes_at_once_one_releases(crowd):
    with crowd.transaction() as connection:
        make_license(connection, credits_granted=500)
        make_job(connection, "job-1", 60)
        settle(connection, "job-1", "company:c1=1")

    def close() -> bool:
        with crowd.transaction() as connection:
            return end_job(connection, "job-1") is not None

    assert sum(at_once(*[close] * 100)) == 1
    with crowd.transaction() as connection:
        balance = balances.balance(connection, "acme")
    assert balance is not None
    assert (balance.spent, balance.available) == (1, 499)


def test_a_close_that_meets_a_settling_comes_before_or_after_it(crowd):
    with crowd.transaction() as connection:
        make_license(connection, credits_granted=500)

    def deliver(job_id: str) -> int:
        try:
            with crowd.transaction() as connection:
                return settle(connection, job_id, f"company:{job_id}=1")
        except Superseded:
            return 0

    def close(job_id: str) -> int:
        with crowd.transaction() as connection:
            closed = end_job(connection, job_id)
        assert closed is not None
        return closed.settled

    total = 0
    for number in range(ROUNDS):
        job_id = f"job-{number}"
        with crowd.transaction() as connection:
            make_job(connection, job_id, 5)
        paid, settled = at_once(
            partial(deliver, job_id),
            partial(close, job_id),
        )
        assert paid == settled
        total += paid
    with crowd.transaction() as connection:
        balance = balances.balance(connection, "acme")
    assert balance is not None
    assert (balance.spent, balance.available) == (total, 500 - total)


def test_jobs_that_settle_the_same_subjects_at_once_pay_once_for_each(crowd):
    claims = [f"company:c{n}=1" for n in range(200)]
    batches = [claims[start : start + 10] for start in range(0, 200, 10)]
    with crowd.transaction() as connection:
        make_license(connection, credits_granted=1000)
        for job_id in ("job-1", "job-2"):
            make_job(connection, job_id, 200)

    def work(job_id: str, order: int) -> int:
        settled = 0
        for batch in batches[::order]:
            with crowd.transaction() as connection:
                settled += settle(connection, job_id, *batch[::order])
        return settled

    paid = at_once(partial(work, "job-1", 1), partial(work, "job-2", -1))
    assert sum(paid) == 200
    with crowd.transaction() as connection:
        for job_id in ("job-1", "job-2"):
            end_job(connection, job_id)
        payers = connection.execute(
            text("SELECT count(*) FROM charges WHERE credits > 0 GROUP BY subject")
        ).scalars()
        assert set(payers) == {1}


def test_many_batches_of_one_job_at_once_settle_each_subject_once(crowd):
    with crowd.transaction() as connection:
        make_license(connection, credits_granted=500)
        make_job(connection, "job-1", 10)

    def work(start: int) -> int:
        claims = [f"company:c{(start + n) % 10}=1" for n in range(5)]
        while True:
            # Each conflict means that another batch went through.
            with suppress(Conflict), crowd.transaction() as connection:
                return settle(connection, "job-1", *claims)

    assert sum(at_once(*(partial(work, n) for n in range(10)))) == 10


def test_a_refund_that_meets_a_free_use_leaves_the_next_one_to_pay(crowd):
    with crowd.transaction() as connection:
        make_license(connection, credits_granted=500)

    def refund(job_id: str) -> int:
        with crowd.transaction() as connection:
            charge = charge_of(connection, job_id, "company:c1")
            result = stored_jobs.refund(connection, charge, "a race")
        assert result is RefundResult.REFUNDED
        return -1

    def deliver(job_id: str) -> int:
        with crowd.transaction() as connection:
            return settle(connection, job_id, "company:c1=1")

    with crowd.transaction() as connection:
        make_job(connection, "job-0", 1)
        settle(connection, "job-0", "company:c1=1")
        end_job(connection, "job-0")
    payer, spent = "job-0", 1
    for number in range(1, ROUNDS):
        job_id = f"job-{number}"
        with crowd.transaction() as connection:
            make_job(connection, job_id, 1)
        moved = at_once(partial(refund, payer), partial(deliver, job_id))
        spent += sum(moved)
        with crowd.transaction() as connection:
            end_job(connection, job_id)
        if moved[1] == 0:
            # It was free on the charge that has just been refunded: nobody pays now.
            with crowd.transaction() as connection:
                make_job(connection, f"{job_id}b", 1)
                spent += settle(connection, f"{job_id}b", "company:c1=1")
                end_job(connection, f"{job_id}b")
            payer = f"{job_id}b"
        else:
            payer = job_id
    assert spent == 1


def test_a_charge_refunded_by_many_at_once_is_given_back_once(crowd):
    with crowd.transaction() as connection:
        make_license(connection, credits_granted=500)
        make_job(connection, "job-1", 2)
        settle(connection, "job-1", "phone:p1=2")
        end_job(connection, "job-1")
        charge = charge_of(connection, "job-1", "phone:p1")

    def refund() -> RefundResult:
        with crowd.transaction() as connection:
            return stored_jobs.refund(connection, charge, "a race")

    assert Counter(at_once(*[refund] * 20)) == {
        RefundResult.REFUNDED: 1,
        RefundResult.ALREADY_REFUNDED: 19,
    }


def test_a_top_up_by_many_at_once_is_booked_once(crowd):
    with crowd.transaction() as connection:
        make_license(connection, credits_granted=0)

    def grant() -> grants.GrantResult:
        with crowd.transaction() as connection:
            return grants.grant(connection, "acme", 100, "invoice-7")

    assert Counter(at_once(*[grant] * 20)) == {
        grants.GrantResult.CREATED: 1,
        grants.GrantResult.EXISTS: 19,
    }


def test_a_period_needed_by_many_at_once_is_opened_and_ended_once(database_url):
    with closing(Database(database_url)) as today, today.transaction() as connection:
        make_license(connection, term=PaymentTerm.MONTHLY)
    later = timedelta(days=31).total_seconds()
    with closing(Database(database_url, pool=20)) as crowd:
        shift_to(crowd, later)

        def reserve(number: int) -> ReserveResult:
            with crowd.transaction() as connection:
                periods.open_current(connection, "acme")
            with crowd.transaction() as connection:
                return make_job(connection, f"job-{number}", 25)

        results = at_once(*(partial(reserve, n) for n in range(20)))
        with crowd.transaction() as connection:
            kinds = connection.execute(
                text("SELECT kind, count(*) FROM transfers GROUP BY kind")
            )
            assert {tuple(row) for row in kinds} == {
                ("grant", 2),
                ("expire", 1),
                ("reserve", 20),
            }
    assert set(results) == {ReserveResult.CREATED}


def test_a_period_that_ends_while_credits_are_reserved_leaves_no_rest(database_url):
    with closing(Database(database_url, pool=20)) as before:
        with before.transaction() as connection:
            for number in range(ROUNDS):
                make_license(
                    connection,
                    f"license-{number}",
                    term=PaymentTerm.MONTHLY,
                    starts_at=licenses.business_now(connection),
                )
        later = timedelta(days=31).total_seconds()
        with closing(Database(database_url)) as after:

            def reserve(license_id: str) -> ReserveResult:
                with before.transaction() as connection:
                    return make_job(
                        connection, f"job of {license_id}", 60, license_id=license_id
                    )

            def end(license_id: str) -> int:
                # Nobody else sees the later time before the period has ended.
                with after.transaction() as connection:
                    business_clock.set_offset(connection, later)
                    business_clock.confirm(connection)
                    return periods.end(connection, license_id=license_id)

            for number in range(ROUNDS):
                license_id = f"license-{number}"
                result, ended = at_once(
                    partial(reserve, license_id),
                    partial(end, license_id),
                )
                assert ended == 1
                shift_to(after, 0)
                held = 60 if result is ReserveResult.CREATED else 0
                assert _reserved_and_expired(before, license_id) == (held, 500 - held)


def _reserved_and_expired(database: Database, license_id: str) -> tuple[int, int]:
    with database.transaction() as connection:
        row = connection.execute(
            text("SELECT reserved, expired FROM periods WHERE license_id = :id"),
            {"id": license_id},
        ).one()
    return row.reserved, row.expired


def test_a_chunk_wanted_by_many_at_once_is_held_by_one(crowd):
    with crowd.transaction() as connection:
        make_license(connection)
        make_job(connection, "job-1", 10, chunks=[5])
        (chunk_id,) = connection.execute(text("SELECT id FROM chunks")).scalars()

    def take(number: int) -> chunks.TakenChunk | None:
        with crowd.transaction() as connection:
            return chunks.take(
                connection, chunk_id, owner=f"worker-{number}", lease_s=60
            )

    taken = at_once(*(partial(take, n) for n in range(20)))
    (held,) = [chunk for chunk in taken if chunk is not None]
    assert held.attempt == 1


def test_a_job_cancelled_while_its_chunk_is_taken_still_ends(crowd):
    with crowd.transaction() as connection:
        make_license(connection)

    def take(chunk_id: int) -> chunks.TakenChunk | None:
        with crowd.transaction() as connection:
            return chunks.take(connection, chunk_id, owner="worker", lease_s=60)

    def cancel(job_id: str) -> None:
        with crowd.transaction() as connection:
            job_control.cancel(connection, job_id)
        with crowd.transaction() as connection:
            job_control.stop_idle_chunks(connection, job_id)

    for number in range(ROUNDS):
        job_id = f"job-{number}"
        with crowd.transaction() as connection:
            make_job(connection, job_id, 1, chunks=[1])
            chunk_id = connection.execute(
                text("SELECT id FROM chunks WHERE job_id = :id"), {"id": job_id}
            ).scalar_one()
        held, _ = at_once(
            partial(take, chunk_id),
            partial(cancel, job_id),
        )
        with crowd.transaction() as connection:
            if held is not None:
                assert jobs.state_of(connection, job_id) == "cancelling"
                chunks.give_back(connection, held)
                job_control.stop_idle_chunks(connection, job_id)
            assert jobs.state_of(connection, job_id) == "finishing"


@pytest.fixture
def deps(database_url, tmp_path) -> Iterator[Wired]:
    wired = job_runs.wire_to(database_url, tmp_path, pool=20)
    with closing(wired.database):
        job_runs.create_license(wired)
        yield wired


def test_a_quote_submitted_a_hundred_times_at_once_makes_one_job(deps):
    stored = job_runs.quote(deps, ["c1", "c2"])

    def submit() -> str:
        try:
            submission.submit(deps, stored.id)
        except Refused as refused:
            return refused.code
        return "made"

    assert Counter(at_once(*[submit] * 100)) == {"made": 1, Code.WRONG_STATE: 99}
    assert job_runs.balance(deps).reserved == 2


def test_a_completion_run_by_two_at_once_ends_the_job_once(deps):
    stored = job_runs.quote(deps, ["c1", "c2"])
    job_id = submission.submit(deps, stored.id)
    job_runs.run_chunks(deps, job_id)
    with deps.database.transaction() as connection:
        (entry_id,) = connection.execute(text("SELECT id FROM outbox")).scalars()
        entry = outbox.take(connection, entry_id, owner="worker", lease_s=60)
    assert entry is not None

    def complete() -> bool:
        try:
            completion.complete(deps, entry)
        except Superseded:
            return False
        return True

    assert sorted(at_once(complete, complete)) == [False, True]
    report = job_runs.report(deps, job_id)
    assert (report.state, report.settled, report.released) == ("succeeded", 2, 0)
    with deps.database.transaction() as connection:
        told = connection.execute(text("SELECT count(*) FROM events")).scalar_one()
        assert told == 1
        topics = connection.execute(text("SELECT topic FROM outbox")).scalars()
        assert list(topics) == [jobs.COMPLETE]
