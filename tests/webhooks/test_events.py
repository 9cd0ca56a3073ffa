"""Each event happens once, with the transaction that causes it or not at all."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text

from pricing.plans import PaymentTerm
from storage.database import Database
from storage.ledger import business_clock, periods
from storage.webhooks import events, webhooks
from storage.webhooks.events import EventType
from tests.support import job_runs
from tests.support.stored_jobs import end_job, make_job, make_license, settle
from worker.infrastructure.errors import Refused
from worker.jobs import job_control, submission
from worker.jobs.sweeper import sweep
from worker.ledger import balances
from worker.licenses import licenses
from worker.wiring import Wired

DAYS_OF_A_MONTH = 31


@pytest.fixture
def deps(database_url: str, tmp_path: Path) -> Iterator[Wired]:
    deps = job_runs.wire_to(database_url, tmp_path)
    yield deps
    deps.database.close()


def happened(database: Database, type_: EventType) -> list[dict[str, Any]]:
    """The data of all events of a type."""
    with database.transaction() as connection:
        return list(
            connection.execute(
                text("SELECT data FROM events WHERE type = :type ORDER BY created_at"),
                {"type": type_.value},
            ).scalars()
        )


def _export(deps: Wired, companies: int, first: int = 0) -> str:
    contacts = [f"c{number}" for number in range(first, first + companies)]
    return submission.submit(deps, job_runs.quote(deps, contacts, retrieve=()).id)


def test_an_event_happens_once_for_its_type_and_subject(database):
    with database.transaction() as connection:
        make_license(connection)
        _subscribe(connection, EventType.JOB_FINISHED, EventType.CREDITS_LOW)
        for _ in range(2):
            for type_ in (EventType.JOB_FINISHED, EventType.CREDITS_LOW):
                events.put(connection, "acme", type_, "subject", {"at": "first"})
        keys = connection.execute(text("SELECT topic, key FROM outbox")).all()
        ids = connection.execute(text("SELECT id FROM events")).scalars().all()
    assert sorted(keys) == sorted(("event.fan_out", id_) for id_ in ids)
    assert len(ids) == 2
    assert all(id_.startswith("evt_") for id_ in ids)


def _subscribe(connection: Connection, *types: EventType) -> None:
    webhooks.create(
        connection,
        "wh_1",
        "acme",
        url="https://example.com/",
        events=[type_.value for type_ in types],
        secret="sealed",
    )


def test_an_event_that_no_webhook_wants_is_kept_and_handed_to_nobody(database):
    with database.transaction() as connection:
        make_license(connection)
        make_license(connection, "other")
        _subscribe(connection, EventType.JOB_FINISHED)
        assert events.put(connection, "acme", EventType.CREDITS_LOW, "a", {})
        assert events.put(connection, "other", EventType.JOB_FINISHED, "b", {})
        webhooks.delete(connection, "wh_1")
        assert events.put(connection, "acme", EventType.JOB_FINISHED, "c", {})
        count = connection.execute(text("SELECT count(*) FROM events")).scalar_one()
        assert count == 3
        assert connection.execute(text("SELECT * FROM outbox")).all() == []


def test_what_is_rolled_back_has_not_happened(database):
    with database.transaction() as connection:
        make_license(connection)

    def fail() -> None:
        with database.transaction() as connection:
            assert events.put(connection, "acme", EventType.JOB_FINISHED, "job-1", {})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert happened(database, EventType.JOB_FINISHED) == []
    with database.transaction() as connection:
        assert connection.execute(text("SELECT count(*) FROM outbox")).scalar() == 0


def test_of_many_who_put_the_same_at_once_one_does(database):
    with database.transaction() as connection:
        make_license(connection)

    def put(_: int) -> bool:
        with database.transaction() as connection:
            return events.put(connection, "acme", EventType.PERIOD_CLOSED, "1", {})

    with ThreadPoolExecutor(16) as threads:
        assert sum(threads.map(put, range(16))) == 1


def test_a_jobs_end_is_an_event_once(deps):
    job_runs.create_license(deps)
    job_id = _export(deps, 3)
    assert job_runs.run(deps, job_id).state == "succeeded"
    with deps.database.transaction() as connection:
        end_job(connection, job_id)
    assert happened(deps.database, EventType.JOB_FINISHED) == [{"job": job_id}]


def test_a_cancelled_job_has_ended_too(deps):
    job_runs.create_license(deps)
    job_id = _export(deps, 3)
    job_control.cancel(deps, job_id)
    job_runs.complete(deps)
    assert happened(deps.database, EventType.JOB_FINISHED) == [{"job": job_id}]
    assert happened(deps.database, EventType.RESERVATION_EXPIRED) == []


# -- Low credits.


def test_credits_are_low_below_the_share_and_not_at_it(deps):
    job_runs.create_license(deps, credits_granted=50)
    _export(deps, 45)
    assert happened(deps.database, EventType.CREDITS_LOW) == []
    _export(deps, 1, first=45)
    (data,) = happened(deps.database, EventType.CREDITS_LOW)
    assert (data["granted"], data["available"], data["license"]) == (50, 4, "acme")


def test_credits_are_low_once_a_period_whatever_comes_back(deps):
    job_runs.create_license(deps, credits_granted=50)
    job_id = _export(deps, 48)
    job_control.cancel(deps, job_id)
    job_runs.complete(deps)
    assert job_runs.balance(deps).available == 50
    _export(deps, 48)
    balances.top_up(deps, "acme", 100, "top-up-1")
    _export(deps, 100)
    assert len(happened(deps.database, EventType.CREDITS_LOW)) == 1


def test_credits_may_be_low_again_in_the_next_period(deps, database_url, tmp_path):
    job_runs.create_license(deps, term=PaymentTerm.MONTHLY, credits_granted=50)
    _export(deps, 48)
    later = job_runs.wire_to(database_url, tmp_path, days=DAYS_OF_A_MONTH)
    _export(later, 48, first=48)
    later.database.close()
    low = happened(deps.database, EventType.CREDITS_LOW)
    assert len({data["starts_at"] for data in low}) == 2


def test_a_refused_job_warns_nobody(deps):
    job_runs.create_license(deps, credits_granted=50)
    with pytest.raises(Refused):
        _export(deps, 51)
    assert happened(deps.database, EventType.CREDITS_LOW) == []


def test_a_license_without_credits_is_not_warned(deps):
    job_runs.create_license(deps, credits_granted=0)
    with deps.database.transaction() as connection:
        assert not events.credits_low(connection, "acme", share=1)


def test_a_share_of_nothing_never_warns_and_of_all_always(database):
    with database.transaction() as connection:
        make_license(connection, credits_granted=60)
        make_job(connection, amount=60)
        assert not events.credits_low(connection, "acme", share=0)
        assert events.credits_low(connection, "acme", share=1)


def test_many_jobs_at_once_warn_once(deps, database_url, tmp_path):
    job_runs.create_license(deps, credits_granted=10)
    quotes = [job_runs.quote(deps, [f"c{n}"], retrieve=()).id for n in range(10)]
    many = job_runs.wire_to(database_url, tmp_path, pool=10)
    with ThreadPoolExecutor(10) as threads:
        list(threads.map(lambda quote: submission.submit(many, quote), quotes))
    many.database.close()
    assert len(happened(deps.database, EventType.CREDITS_LOW)) == 1


# -- Expired reservations, ended periods.


def test_a_reservation_that_expires_is_an_event_once(deps, database_url, tmp_path):
    job_runs.create_license(deps)
    job_id = _export(deps, 3)
    later = job_runs.wire_to(database_url, tmp_path, days=15)
    sweep(later)
    sweep(later)
    job_runs.complete(later)
    later.database.close()
    (data,) = happened(deps.database, EventType.RESERVATION_EXPIRED)
    assert (data["job"], data["license"]) == (job_id, "acme")
    assert (data["reserved"], data["settled"]) == (3, 0)
    assert data["deadline_at"].endswith("Z")
    assert happened(deps.database, EventType.JOB_FINISHED) == [{"job": job_id}]


def test_a_periods_end_is_an_event_with_its_credits(deps, database_url, tmp_path):
    job_runs.create_license(deps, term=PaymentTerm.MONTHLY, credits_granted=50)
    job_runs.run(deps, _export(deps, 3))
    later = job_runs.wire_to(database_url, tmp_path, days=DAYS_OF_A_MONTH)
    sweep(later)
    sweep(later)
    later.database.close()
    (data,) = happened(deps.database, EventType.PERIOD_CLOSED)
    assert data["starts_at"] < data["ends_at"]
    assert data["ends_at"].endswith("Z")
    assert {
        name: data[name] for name in ("granted", "reserved", "spent", "expired")
    } == {
        "granted": 50,
        "reserved": 0,
        "spent": 3,
        "expired": 47,
    }


def test_what_open_jobs_have_settled_counts_as_spent_at_a_periods_end(database):
    with database.transaction() as connection:
        make_license(connection)
        make_job(connection, amount=60)
        settle(connection, "job-1", "company:c1=1", "company:c2=1")
        connection.execute(
            text("UPDATE periods SET ends_at = starts_at + interval '1 us'")
        )
        business_clock.confirm(connection)
        assert periods.end(connection) == 1
    (data,) = happened(database, EventType.PERIOD_CLOSED)
    assert (data["reserved"], data["spent"], data["expired"]) == (58, 2, 440)


def test_each_period_that_was_open_ends_also_after_downtime(
    deps, database_url, tmp_path
):
    """Nothing ran for months: whoever comes first ends what had been opened."""
    job_runs.create_license(deps, term=PaymentTerm.MONTHLY, credits_granted=50)
    for months in (1, 5):
        later = job_runs.wire_to(database_url, tmp_path, days=months * DAYS_OF_A_MONTH)
        licenses.open_license(later, "acme")
        sweep(later)
        later.database.close()
    closed = happened(deps.database, EventType.PERIOD_CLOSED)
    assert len({data["starts_at"] for data in closed}) == 2
    assert [data["expired"] for data in closed] == [50, 50]
