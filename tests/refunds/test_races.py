"""Many who refund at once, each on a connection of their own."""

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from functools import partial
from random import Random
from threading import Barrier
from typing import TypeVar

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from storage.database import Database
from storage.jobs import given_up_jobs, outbox
from storage.jobs.jobs import COMPLETE
from storage.refunds import credit_notes
from storage.refunds.credit_notes import Author, DecideResult, MakeResult
from tests.refunds.noted import (
    ADA,
    BOB,
    ask,
    make_charges,
    more_charges,
    numbers,
    refunded,
    result_of,
)
from tests.support.stored_jobs import make_job, settle

T = TypeVar("T")

_THREADS = 8
_WAITING = text("""
SELECT count(*) FROM pg_stat_activity
 WHERE datname = current_database() AND wait_event_type = 'Lock'
""")


@pytest.fixture
def crowd(database_url) -> Iterator[Database]:
    """Room for all at once."""
    with closing(Database(database_url, pool=20)) as database:
        yield database


def _at_once(*actions: Callable[[], T]) -> list[T]:
    barrier = Barrier(len(actions), timeout=60)

    def wait_and_do(action: Callable[[], T]) -> T:
        barrier.wait()
        return action()

    with ThreadPoolExecutor(len(actions)) as threads:
        return list(threads.map(wait_and_do, actions))


def _deadlocks(database: Database) -> int:
    with database.transaction() as connection:
        counted: int = connection.execute(
            text("""
                SELECT deadlocks FROM pg_stat_database
                 WHERE datname = current_database()""")
        ).scalar_one()
    return counted


@pytest.mark.parametrize("most", [None, 0])
def test_a_charge_that_two_notes_ask_for_at_once_is_in_one_of_them(crowd, most):
    with crowd.transaction() as connection:
        charges = make_charges(connection, 10)
    # Each shares a charge with its neighbour.
    asked = [charges[n : n + 2] for n in range(9)]
    made = _at_once(*(partial(result_of, crowd, few, most=most) for few in asked))
    assert MakeResult.REFUSED in made
    won = [few for few, result in zip(asked, made, strict=True) if result != "refused"]
    given = [charge for few in won for charge in few]
    assert len(set(given)) == len(given)
    with crowd.transaction() as connection:
        assert refunded(connection) == ([] if most == 0 else sorted(given))


def test_two_who_approve_at_once_book_it_once(crowd):
    with crowd.transaction() as connection:
        charges = make_charges(connection, 3)
        _, note = ask(connection, charges, most=0)
    assert note is not None

    def approve(number: int) -> DecideResult:
        with crowd.transaction() as connection:
            person = f"person {number}"
            return credit_notes.approve(connection, note, Author(person, person))

    came = Counter(_at_once(*(partial(approve, n) for n in range(_THREADS))))
    assert came == {DecideResult.DONE: 1, DecideResult.NOT_WAITING: _THREADS - 1}
    with crowd.transaction() as connection:
        assert (refunded(connection), numbers(connection)) == (charges, [1])


def test_approving_and_rejecting_at_once_come_to_one_of_both(crowd):
    with crowd.transaction() as connection:
        charges = make_charges(connection, 10)

    def approve(note: int) -> DecideResult:
        with crowd.transaction() as connection:
            return credit_notes.approve(connection, note, BOB)

    def reject(note: int) -> DecideResult:
        with crowd.transaction() as connection:
            return credit_notes.reject(connection, note, BOB, "no")

    given = []
    for charge in charges:
        with crowd.transaction() as connection:
            _, note = ask(connection, [charge], most=0)
        assert note is not None
        came = _at_once(partial(approve, note), partial(reject, note))
        assert sorted(came) == [DecideResult.DONE, DecideResult.NOT_WAITING]
        if came[0] is DecideResult.DONE:
            given.append(charge)
    with crowd.transaction() as connection:
        assert refunded(connection) == given


def test_what_one_may_alone_is_not_passed_by_asking_at_once(crowd):
    with crowd.transaction() as connection:
        charges = make_charges(connection, 20)
    asking = [partial(result_of, crowd, [charge], most=7) for charge in charges[:16]]
    came = Counter(_at_once(*asking))
    assert came == {MakeResult.BOOKED: 7, MakeResult.AWAITING_APPROVAL: 9}


class _ChangedTheirMind(Exception):
    pass


def test_numbers_have_no_gaps_whatever_is_rolled_back(crowd):
    with crowd.transaction() as connection:
        charges = make_charges(connection, _THREADS * 12)

    def work(place: int) -> int:
        random, booked = Random(place), 0
        for charge in charges[place::_THREADS]:
            with suppress(_ChangedTheirMind), crowd.transaction() as connection:
                ask(connection, [charge], Author(f"{place}", f"{place}"))
                if random.random() < 0.4:
                    raise _ChangedTheirMind
                booked += 1
        return booked

    booked = sum(_at_once(*(partial(work, place) for place in range(_THREADS))))
    assert 0 < booked < len(charges)
    with crowd.transaction() as connection:
        assert sorted(numbers(connection)) == list(range(1, booked + 1))
        assert len(refunded(connection)) == booked
    assert _deadlocks(crowd) == 0


def _wait_until_somebody_waits(database: Database) -> None:
    while True:
        with database.transaction() as connection:
            if connection.execute(_WAITING).scalar_one():
                return


@pytest.mark.parametrize(
    ("held", "has", "has_not"),
    [
        ("periods", "refund_allowances", "credit_note_numbers"),
        ("credit_note_numbers", "periods", "credit_notes"),
        ("refund_allowances", "entitlements", "periods"),
    ],
)
def test_locks_are_taken_in_one_order_and_the_number_last(crowd, held, has, has_not):
    with crowd.transaction() as connection:
        charges = make_charges(connection, 2)
        ask(connection, charges[:1])

    def is_free(table: str) -> bool:
        # As every update of a counter locks its row.
        rows = text(f"SELECT 1 FROM {table} FOR NO KEY UPDATE NOWAIT")
        with suppress(OperationalError), crowd.transaction() as connection:
            connection.execute(rows)
            return True
        return False

    with ThreadPoolExecutor(2) as threads:
        with crowd.transaction() as holder:
            holder.execute(text(f"SELECT 1 FROM {held} FOR NO KEY UPDATE"))
            made = threads.submit(result_of, crowd, charges[1:])
            threads.submit(_wait_until_somebody_waits, crowd).result(timeout=30)
            found = [threads.submit(is_free, table) for table in (has, has_not)]
            assert [one.result(timeout=30) for one in found] == [False, True]
        assert made.result(timeout=30) is MakeResult.BOOKED


def test_giving_up_jobs_beside_refunds_never_waits_in_a_circle(crowd):
    rounds = 12
    with crowd.transaction() as connection:
        charges = make_charges(connection, rounds * 2)
        for number in range(rounds):
            job = f"given-{number}"
            make_job(connection, job, 2)
            # What it is free on, and what it pays for beside others.
            settle(connection, job, "company:job-1-0=1", f"company:{job}=1")
            connection.execute(
                text("UPDATE jobs SET state = 'finishing' WHERE id = :job"),
                {"job": job},
            )
            outbox.put(connection, COMPLETE, job)

    def give_up() -> None:
        for number in range(rounds):
            with crowd.transaction() as connection:
                given_up_jobs.give_up(
                    connection, f"given-{number}", ADA, approval_credits=1_000
                )

    def refund(start: int) -> None:
        for charge in charges[start::2]:
            assert result_of(crowd, [charge], ADA, most=1_000) is MakeResult.BOOKED

    _at_once(give_up, partial(refund, 0), partial(refund, 1))
    assert _deadlocks(crowd) == 0
    with crowd.transaction() as connection:
        counted = "SELECT sum(credits) FROM refund_allowances"
        assert connection.execute(text(counted)).scalar_one() == rounds * 3
        more_charges(connection, 1, job="job-9")
