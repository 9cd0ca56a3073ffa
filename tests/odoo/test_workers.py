"""Real worker processes that push into a real Odoo, and die on the way."""

import pytest

from tests.support.fleet import fleet_of, kill, until
from tests.support.push_runs import connect, contact, submit
from tests.support.servers import own_broker

_RECORDS = 150
_SETTINGS = {
    "WEBHOOK_ALLOW_PRIVATE": "1",
    "LEASE_S": "8",
    "CHUNK_RECORDS": "50",
    "BATCH_RECORDS": "25",
    "WORKER_CONCURRENCY": "2",
}


@pytest.fixture
def workers(tmp_path, database_url):
    """Makes fleets on a broker of their own."""
    with own_broker(tmp_path / "broker" / "home") as broker, broker.running():
        yield lambda **more: fleet_of(
            tmp_path / "fleet", database_url, broker.url, **_SETTINGS | more
        )


def _wait_for(crm, persons: int) -> None:
    until(lambda: crm.count(["name", "=like", "P p%"]) > persons)


def test_a_worker_killed_in_mid_push_leaves_no_duplicate_and_exact_charges(
    workers, crm
):
    with workers() as fleet:
        connection = connect(fleet.deps, "odoo", crm.settings, crm.secrets)
        records = [contact(f"c{n}", f"p{n}") for n in range(_RECORDS)]
        job_id = submit(fleet.deps, connection, records)
        (_, worker) = fleet.start("dispatcher", "worker")
        for reached in (20, 70):
            _wait_for(crm, reached)
            kill(worker)
            (worker,) = fleet.start("worker")
        report = fleet.ended(job_id)
        assert (report.state, report.created) == ("succeeded", _RECORDS)
        assert (report.settled, report.released) == (_RECORDS, 0)
        assert crm.count(["name", "=like", "P p%"]) == _RECORDS
        assert crm.count(["name", "=like", "Company c%"]) == _RECORDS


def test_six_worker_processes_that_push_one_new_record_leave_one(workers, crm):
    with workers(WORKER_CONCURRENCY="6") as fleet:
        connection = connect(fleet.deps, "odoo", crm.settings, crm.secrets)
        job_ids = [
            submit(fleet.deps, connection, [contact("c1", "p1", title=f"Title {n}")])
            for n in range(6)
        ]
        fleet.start("dispatcher", "worker")
        reports = [fleet.ended(job_id) for job_id in job_ids]
        assert [report.delivered for report in reports] == [1] * 6
        assert sum(report.settled for report in reports) == 1
        assert crm.count(["name", "=", "P p1"]) == 1
        assert crm.count(["name", "=", "Company c1"]) == 1
