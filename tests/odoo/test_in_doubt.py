"""Pushes whose outcome nobody was told: nothing is there twice, or paid wrongly."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from storage.jobs import job_reports
from tests.support import job_runs
from tests.support.push_runs import (
    contact,
    counts,
    die_after_sending,
    let_go,
    outcomes_of,
    push,
    run,
    run_once,
    submit,
)
from worker.jobs import job_control

MANY = [contact(f"c{n}", f"p{n}") for n in range(60)]


@pytest.fixture
def impatient(database_url, tmp_path, redis_url, house):
    """The same house, with a client that waits for nothing."""
    deps = job_runs.wire_to(
        database_url,
        tmp_path,
        redis_url=redis_url,
        chunk_records=250,
        batch_records=100,
        webhook_allow_private=True,
        crm_timeout_s=0.08,
        retry_base_s=0.2,
    )
    yield deps
    deps.crms.close()
    deps.database.close()


def _report(deps, job_id):
    with deps.database.transaction() as connection:
        return job_reports.job(connection, job_id)


def test_a_batch_that_odoo_committed_after_the_client_gave_up_is_there_once(
    house, crm, connection, impatient
):
    job_id = submit(house, connection, MANY)
    run_once(impatient, job_id)
    report = _report(house, job_id)
    assert (report.delivered, report.waiting_reason) == (0, "crm_unavailable")
    report = run(house, job_id)
    assert (counts(report), report.settled) == ({"created": 60}, 60)
    assert len(crm.ours()) == 120
    assert crm.count(["name", "=like", "P p%"]) == 60


def test_a_job_that_is_cancelled_in_doubt_pays_for_what_reached_the_crm(
    house, crm, connection, impatient
):
    records = [contact(f"c{n}", f"p{n}") for n in range(400)]
    job_id = submit(house, connection, records)
    run_once(impatient, job_id)
    job_control.cancel(house, job_id)
    report = run(house, job_id)
    assert report.state == "cancelled"
    reached = len([row for row in crm.ours() if row["is_company"]])
    assert 0 < reached < 400
    assert counts(report) == {"created": reached, "unreached": 400 - reached}
    assert (report.settled, report.released) == (reached, 400 - reached)


def test_six_workers_that_push_one_new_record_leave_one(house, crm, connection):
    job_ids = [
        submit(house, connection, [contact("c1", "p1", title=f"Title {n}")])
        for n in range(6)
    ]
    barrier = threading.Barrier(6)

    def work(job_id):
        barrier.wait()
        return run(house, job_id)

    with ThreadPoolExecutor(6) as threads:
        ended = list(threads.map(work, job_ids))
    assert all(report.delivered == 1 for report in ended)
    assert sum(report.settled for report in ended) == 1
    assert len(crm.ours()) == 2
    assert crm.count(["name", "=", "P p1"]) == 1


def test_a_worker_that_dies_before_its_checkpoint_leaves_nothing_twice_or_unpaid(
    house, crm, connection, monkeypatch
):
    job_id = submit(house, connection, MANY)
    die_after_sending(house, job_id, monkeypatch)
    assert len(crm.ours()) == 120
    assert _report(house, job_id).settled == 0
    let_go(house, job_id)
    report = run(house, job_id)
    assert (counts(report), report.settled) == ({"created": 60}, 60)
    assert len(crm.ours()) == 120
    assert {row.change for row in outcomes_of(house, job_id)} == {"created"}


def test_an_update_that_was_lost_is_paid_for_though_the_crm_has_it_already(
    house, crm, connection, monkeypatch
):
    push(house, connection, MANY[:5])
    changed = [contact(f"c{n}", f"p{n}", title="New") for n in range(5)]
    job_id = submit(house, connection, changed, overwrite="if_empty")
    die_after_sending(house, job_id, monkeypatch)
    let_go(house, job_id)
    report = run(house, job_id)
    assert counts(report) == {"updated": 5}
