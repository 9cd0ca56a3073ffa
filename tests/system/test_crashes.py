"""Whatever is killed, frozen, lost or doubled: a job ends, each credit right."""

import os
import signal
from functools import partial

import psutil
import pytest
from celery import Celery
from sqlalchemy import text

from tests.support.fleet import (
    Fleet,
    answer,
    assert_exact,
    completions,
    fleet_of,
    kill,
    load_persons,
    submit,
    until,
)
from tests.support.servers import own_broker
from worker.celery_app import make_app
from worker.jobs import job_control
from worker.jobs.message_queues import RUN_CHUNK

_PERSONS = 1_200


def test_a_worker_killed_in_the_middle_costs_nothing(fleet):
    load_persons(fleet.deps, _PERSONS)
    _, victim = fleet.start("dispatcher", "worker")
    job_id = submit(fleet.deps, 0, _PERSONS)
    fleet.reached(job_id, 100)
    kill(victim)
    fleet.start("worker")
    assert_exact(fleet, job_id, 0, _PERSONS)


@pytest.mark.slow
def test_a_child_killed_in_the_middle_costs_nothing(fleet):
    load_persons(fleet.deps, _PERSONS)
    _, worker = fleet.start("dispatcher", "worker")
    job_id = submit(fleet.deps, 0, _PERSONS)
    for reached in (50, 300, 600):
        fleet.reached(job_id, reached)
        for child in psutil.Process(worker.pid).children():
            child.kill()
    assert_exact(fleet, job_id, 0, _PERSONS)


@pytest.mark.slow
def test_a_broker_that_forgets_everything_loses_no_record(fleet, broker):
    load_persons(fleet.deps, _PERSONS)
    fleet.start("dispatcher", "worker")
    job_id = submit(fleet.deps, 0, _PERSONS)
    for reached in (50, 400, 800):
        fleet.reached(job_id, reached)
        broker.flush()
    assert_exact(fleet, job_id, 0, _PERSONS)


def _send_again(fleet, app: Celery, copies: int) -> None:
    """Deliver what was handed to the broker, and what runs, so many times more."""
    with fleet.deps.database.transaction() as connection:
        chunk_ids = connection.execute(text("SELECT id FROM chunks")).scalars().all()
    for chunk_id in chunk_ids:
        for _ in range(copies):
            app.send_task(RUN_CHUNK, args=[chunk_id], queue="chunks")


@pytest.mark.slow
def test_a_chunk_delivered_many_times_is_charged_once(fleet):
    load_persons(fleet.deps, _PERSONS)
    job_id = submit(fleet.deps, 0, _PERSONS)
    app = make_app(fleet.deps.settings)
    _send_again(fleet, app, 2)
    fleet.start("dispatcher", "worker", "worker")
    fleet.reached(job_id, 200)
    _send_again(fleet, app, 2)
    assert_exact(fleet, job_id, 0, _PERSONS)
    assert fleet.scalar("SELECT count(*) FROM outcomes") == _PERSONS


def _freeze_while_it_holds_chunks(fleet, worker) -> tuple[list[int], dict[int, int]]:
    """Stop a worker and its children; return them and the attempts they are at."""
    pids = [worker.pid, *(child.pid for child in psutil.Process(worker.pid).children())]

    def freeze() -> dict[int, int]:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        with fleet.deps.database.transaction() as connection:
            rows = connection.execute(
                text("SELECT id, attempt FROM chunks WHERE state = 'running'")
            )
            held = {row.id: row.attempt for row in rows}
        for pid in pids if not held else ():
            os.kill(pid, signal.SIGCONT)
        return held

    return pids, until(freeze)


def _taken_over(fleet: Fleet, chunk_id: int, attempt: int) -> bool:
    return (
        fleet.scalar("SELECT attempt FROM chunks WHERE id = :i", i=chunk_id) > attempt
    )


@pytest.mark.slow
def test_a_worker_frozen_past_its_lease_changes_nothing_when_it_wakes(fleet):
    load_persons(fleet.deps, _PERSONS)
    _, sleeper = fleet.start("dispatcher", "worker")
    job_id = submit(fleet.deps, 0, _PERSONS)
    fleet.reached(job_id, 60)
    frozen, held = _freeze_while_it_holds_chunks(fleet, sleeper)
    fleet.start("worker")
    for chunk_id, attempt in held.items():
        until(partial(_taken_over, fleet, chunk_id, attempt))
    for pid in frozen:
        os.kill(pid, signal.SIGCONT)
    assert_exact(fleet, job_id, 0, _PERSONS)


@pytest.mark.slow
def test_workers_restarted_all_through_a_job_lose_nothing(fleet):
    load_persons(fleet.deps, _PERSONS)
    _, worker = fleet.start("dispatcher", "worker")
    job_id = submit(fleet.deps, 0, _PERSONS)
    for reached in (50, 300, 550, 800):
        fleet.reached(job_id, reached)
        worker.send_signal(signal.SIGTERM)
        (worker,) = fleet.start("worker")
    assert_exact(fleet, job_id, 0, _PERSONS)


@pytest.mark.slow
def test_a_dispatcher_killed_in_the_middle_is_replaced_by_another(fleet):
    load_persons(fleet.deps, _PERSONS)
    first, *_ = fleet.start("dispatcher", "dispatcher", "worker")
    job_id = submit(fleet.deps, 0, _PERSONS)
    fleet.reached(job_id, 100)
    kill(first)
    assert_exact(fleet, job_id, 0, _PERSONS)


@pytest.mark.slow
def test_a_broker_that_stops_with_a_task_in_flight_holds_nothing_up_for_long(
    database_url, tmp_path
):
    with (
        own_broker(tmp_path / "broker") as broker,
        fleet_of(tmp_path / "fleet", database_url, broker.url) as fleet,
    ):
        load_persons(fleet.deps, _PERSONS)
        job_id = submit(fleet.deps, 0, _PERSONS)
        with broker.running():
            fleet.start("dispatcher", "worker")
            fleet.reached(job_id, 100)
        with broker.running():
            # The worker ends with its broker, or finds it again; `up` and the
            # container's restart policy see to the first.
            fleet.start("worker")
            assert_exact(fleet, job_id, 0, _PERSONS)


@pytest.mark.slow
def test_a_job_submitted_while_the_broker_is_down_runs_once_it_is_up(
    database_url, tmp_path
):
    with (
        own_broker(tmp_path / "broker") as broker,
        fleet_of(tmp_path / "fleet", database_url, broker.url) as fleet,
    ):
        load_persons(fleet.deps, 100)
        fleet.start("dispatcher")
        job_id = submit(fleet.deps, 0, 100)
        until(lambda: "the broker takes nothing" in fleet.log())
        with broker.running():
            fleet.start("worker")
            assert_exact(fleet, job_id, 0, 100)


def test_a_cancelled_job_keeps_what_it_delivered_and_releases_the_rest(fleet):
    load_persons(fleet.deps, _PERSONS)
    fleet.start("dispatcher", "worker")
    job_id = submit(fleet.deps, 0, _PERSONS)
    fleet.reached(job_id, 100)
    job_control.cancel(fleet.deps, job_id)
    report = fleet.ended(job_id)
    assert report.state == "cancelled"
    assert 100 <= report.delivered < _PERSONS
    assert report.delivered + report.unreached == _PERSONS
    assert report.released == report.reserved - report.settled
    assert completions(fleet, job_id) == 1
    rows = fleet.scalar("SELECT sum(records) FROM parts WHERE job_id = :id", id=job_id)
    assert rows == report.delivered
    job_control.cancel(fleet.deps, job_id)


@pytest.mark.slow
def test_two_jobs_at_once_over_the_same_contacts_pay_once_for_each(fleet):
    load_persons(fleet.deps, _PERSONS)
    jobs = [submit(fleet.deps, 0, _PERSONS), submit(fleet.deps, 0, _PERSONS)]
    fleet.start("dispatcher", "worker", "worker")
    reports = [fleet.ended(job_id) for job_id in jobs]
    right = answer(0, _PERSONS)
    assert sum(report.settled for report in reports) == right.settled
    assert all(report.delivered == _PERSONS for report in reports)
    assert all(
        report.reserved == report.settled + report.released for report in reports
    )
