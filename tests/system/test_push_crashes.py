"""Workers killed while they push: nothing is there twice, every credit is exact."""

from collections.abc import Sequence
from typing import Any

import httpx
import pytest

from storage.jobs.job_reports import JobReport
from tests.support.fleet import Fleet, fleet_of, kill, until
from tests.support.push_runs import connect, contact, submit
from tests.support.sandboxes import Vendor, sandbox_process
from worker.jobs import job_control
from worker.sandbox.webhook import SECRET

_RECORDS = 120
_JOB_MS = 2_000
_SETTINGS = {
    "WEBHOOK_ALLOW_PRIVATE": "1",
    "CHUNK_RECORDS": "40",
    "BATCH_RECORDS": "10",
    "CRM_TIMEOUT_S": "1",
    "CRM_SETTLE_S": "0.5",
}
_TOKEN = {"access_token": "token"}
_CRMS: dict[str, tuple[str, dict[str, str], dict[str, Any]]] = {
    "hubspot": ("hubspot", _TOKEN, {}),
    "salesforce": ("salesforce", _TOKEN, {}),
    "salesforce, bulk": ("salesforce", _TOKEN, {"bulk_above": 1}),
    "pipedrive": ("pipedrive", {"api_token": "token"}, {}),
    "webhook": ("webhook", {"signing_secret": SECRET}, {}),
}


def _connect(fleet: Fleet, url: str, name: str = "hubspot") -> str:
    connector, secrets, settings = _CRMS[name]
    at = {"url": f"{url}/{connector}"}
    return connect(fleet.deps, connector, at | settings, secrets)


def _contacts(count: int) -> Sequence[dict[str, Any]]:
    return [contact(f"c{n}", f"p{n}") for n in range(count)]


@pytest.fixture
def fleet(tmp_path, database_url, broker):
    folder = tmp_path / "fleet"
    with fleet_of(folder, database_url, broker.url, **_SETTINGS) as fleet:
        yield fleet


def _there(vendor: Vendor) -> tuple[int, int]:
    tally = vendor.tally()
    return tally["companies"], tally["contacts"]


def _wait_for(vendor: Vendor, contacts: int) -> None:
    until(lambda: vendor.tally()["contacts"] >= contacts)


# Odoo's, which is a real one, is in tests/odoo.
@pytest.mark.slow
@pytest.mark.parametrize("name", list(_CRMS))
def test_workers_killed_again_and_again_push_each_record_once(fleet, name):
    with sandbox_process("--latency-ms", "10", "--finish-ms", "50") as url:
        ample = {"searches": 100_000}
        httpx.put(f"{url}/_sandbox/pipedrive", json=ample).raise_for_status()
        vendor = Vendor(url, _CRMS[name][0])
        job_id = submit(fleet.deps, _connect(fleet, url, name), _contacts(_RECORDS))
        (_, worker) = fleet.start("dispatcher", "worker")
        for reached in (10, 40, 80):
            _wait_for(vendor, reached)
            kill(worker)
            (worker,) = fleet.start("worker")
        report = fleet.ended(job_id)
        assert (report.state, report.created) == ("succeeded", _RECORDS)
        assert (report.settled, report.released) == (_RECORDS, 0)
        assert _there(vendor) == (_RECORDS, _RECORDS)


# As long as a job runs, the worker that comes after runs into it.
@pytest.mark.slow
def test_workers_killed_while_an_ingest_job_is_under_way_push_each_record_once(fleet):
    with sandbox_process("--latency-ms", "10", "--finish-ms", str(_JOB_MS)) as url:
        vendor = Vendor(url, "salesforce")
        connection = _connect(fleet, url, "salesforce, bulk")
        job_id = submit(fleet.deps, connection, _contacts(_RECORDS))
        (_, worker) = fleet.start("dispatcher", "worker")
        for there in (0, 20):
            _wait_for(vendor, there)
            until(lambda: vendor.tally()["running"] > 0)
            kill(worker)
            (worker,) = fleet.start("worker")
        report = fleet.ended(job_id)
        assert (report.state, report.created) == ("succeeded", _RECORDS)
        assert (report.settled, report.released) == (_RECORDS, 0)
        assert _there(vendor) == (_RECORDS, _RECORDS)
        # Companies and persons of three chunks, and what was killed.
        assert vendor.tally()["jobs"] > 2 * 3


def test_a_job_cancelled_in_doubt_pays_for_what_is_there_and_releases_the_rest(fleet):
    with sandbox_process("--latency-ms", "20") as url:
        vendor = Vendor(url, "hubspot")
        job_id = submit(fleet.deps, _connect(fleet, url), _contacts(_RECORDS))
        (_, worker) = fleet.start("dispatcher", "worker")
        _wait_for(vendor, 20)
        kill(worker)
        job_control.cancel(fleet.deps, job_id)
        fleet.start("worker")
        report: JobReport = fleet.ended(job_id)
        companies, contacts = _there(vendor)
        assert report.state == "cancelled"
        assert report.created == companies == contacts
        assert (report.settled, report.released) == (companies, _RECORDS - companies)
