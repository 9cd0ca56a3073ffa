"""Workers killed while providers are asked: nobody is asked or charged twice."""

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal

import pytest

from pricing.findings import EmailLevel
from pricing.plans import Item
from storage.findings import provider_costs
from storage.quotes import quotes
from tests.support.fleet import LICENSE, Fleet, fleet_of, kill, until
from tests.support.sandboxes import Vendor, sandbox_process
from worker.jobs import submission
from worker.quotes import quote_maker
from worker.quotes.readers import inline_records
from worker.sandbox.people import contact_of

_PERSONS = 60
_DOMAIN = "engine.example"
_HIT_RATE = 0.7
_AT_ONCE = 5
_CHUNKS = 3


@contextmanager
def _fleet(tmp_path, database_url, broker, url: str, provider: str) -> Iterator[Fleet]:
    settings = {
        "PROVIDERS": f"directory,{provider}",
        f"{provider.upper()}_KEY": "key-of-the-tests",
        f"{provider.upper()}_URL": f"{url}/{provider}",
        f"{provider.upper()}_RATE": "1000/second",
        "PROVIDER_CONCURRENCY": str(_AT_ONCE),
        "LOOKUP_POLL_S": "0.5",
        "CHUNK_RECORDS": str(_PERSONS // _CHUNKS),
        "BATCH_RECORDS": "5",
    }
    with fleet_of(tmp_path / "fleet", database_url, broker.url, **settings) as fleet:
        yield fleet


def _submit(fleet: Fleet) -> str:
    records = [
        {
            "company": {"id": "c1", "domain": _DOMAIN},
            "person": {"id": f"p{n}", "first_name": f"Ada{n}", "last_name": "Byron"},
        }
        for n in range(_PERSONS)
    ]
    request = quotes.Request(
        kind="export",
        license_id=LICENSE,
        user_id="u",
        retrieve=(Item.EMAIL,),
        email_level=EmailLevel.VERIFIED,
        only_with=None,
        export={"format": "csv"},
    )
    stored = quote_maker.quote(fleet.deps, request, inline_records.read(records))
    return submission.submit(fleet.deps, stored.id)


def _valid() -> int:
    """How many addresses there are to be found at the level that was asked for."""
    contacts = [
        contact_of(f"Ada{n}", "Byron", _DOMAIN, hit_rate=_HIT_RATE)
        for n in range(_PERSONS)
    ]
    return sum(
        one.email is not None and one.email_status == "valid" for one in contacts
    )


def _assert_exact(fleet: Fleet, job_id: str) -> None:
    report = fleet.ended(job_id)
    assert (report.state, report.delivered) == ("succeeded", _PERSONS)
    assert report.emails_found == _valid() > 0
    assert report.settled == 1 + _valid()
    assert report.released == report.reserved - report.settled


def _paid(fleet: Fleet, job_id: str, provider: str) -> Decimal:
    with fleet.deps.database.transaction() as connection:
        found = provider_costs.of_job(connection, job_id)
    return sum((cost.paid for cost in found if cost.provider == provider), Decimal(0))


@pytest.mark.slow
def test_workers_killed_between_submit_and_poll_submit_nothing_twice(
    tmp_path, database_url, broker
):
    with (
        sandbox_process("--finish-ms", "5000") as url,
        _fleet(tmp_path, database_url, broker, url, "fullenrich") as fleet,
    ):
        vendor = Vendor(url, "fullenrich")
        job_id = _submit(fleet)
        (_, worker) = fleet.start("dispatcher", "worker")
        sent = "SELECT count(*) FROM lookups WHERE state = 'sent'"
        until(lambda: fleet.scalar(sent) == _CHUNKS)
        kill(worker)
        fleet.start("worker")
        _assert_exact(fleet, job_id)
        tally = vendor.tally()
        assert (tally["persons"], tally["asked_twice"]) == (_PERSONS, 0)
        assert _paid(fleet, job_id, "fullenrich") == Decimal(tally["charged"])


@pytest.mark.slow
def test_a_worker_killed_while_it_asks_repeats_no_more_than_was_under_way(
    tmp_path, database_url, broker
):
    with (
        sandbox_process("--latency-ms", "200") as url,
        _fleet(tmp_path, database_url, broker, url, "hunter") as fleet,
    ):
        vendor = Vendor(url, "hunter")
        job_id = _submit(fleet)
        (_, worker) = fleet.start("dispatcher", "worker")
        until(lambda: fleet.scalar("SELECT count(*) FROM findings") >= _AT_ONCE)
        kill(worker)
        fleet.start("worker")
        _assert_exact(fleet, job_id)
        tally = vendor.tally()
        # Two children of the worker, each with so many requests, and what they had
        # heard a moment ago and not yet written down.
        assert tally["persons"] - _PERSONS <= 2 * 2 * _AT_ONCE
