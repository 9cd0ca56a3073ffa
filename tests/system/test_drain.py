"""Workers that drain or are told to stop: nothing is lost, and little time is."""

import signal
from datetime import datetime
from threading import Event

import pytest
from sqlalchemy import text

from storage.operations import processes
from storage.operations.processes import Process, ProcessState
from storage.state_machine import ChunkState
from tests.support.fleet import (
    Fleet,
    answer,
    assert_exact,
    fleet_of,
    kill,
    load_persons,
    submit,
    until,
)
from tests.support.push_runs import connect, contact
from tests.support.push_runs import submit as submit_push
from tests.support.receivers import Reply, receiver
from worker.infrastructure.clock import wait
from worker.operations import worker_drain

_PERSONS = 1_200
_SMALL, _FEW = 5, 40
_LONG_S = "60"
"""A lease that no test waits for: what comes back has been given back."""


@pytest.fixture
def fleet(tmp_path, database_url, broker):
    folder = tmp_path / "fleet"
    with fleet_of(folder, database_url, broker.url, LEASE_S=_LONG_S) as fleet:
        yield fleet


def _workers(fleet: Fleet) -> list[Process]:
    with fleet.deps.database.transaction() as connection:
        found = processes.processes(connection, silent_s=60)
    return [process for process in found if process.role == "worker"]


def _is(fleet: Fleet, process_id: str, state: ProcessState) -> bool:
    return any(
        process.id == process_id and process.state is state
        for process in _workers(fleet)
    )


def _handed_out(fleet: Fleet, job_id: str) -> dict[int, datetime]:
    """The chunks of a job that lie in the broker, and since when."""
    with fleet.deps.database.transaction() as connection:
        rows = connection.execute(
            text("""
                SELECT id, dispatched_at FROM chunks
                 WHERE job_id = :job_id AND state = 'dispatched'"""),
            {"job_id": job_id},
        )
        return {row.id: row.dispatched_at for row in rows}


def _let_the_dispatcher_report_twice(fleet: Fleet) -> None:
    seen = "SELECT extract(epoch FROM seen_at) FROM processes WHERE role = 'dispatcher'"
    once = fleet.scalar(seen)
    until(lambda: fleet.scalar(seen) > once)
    twice = fleet.scalar(seen)
    until(lambda: fleet.scalar(seen) > twice)


def test_a_worker_that_drains_takes_nothing_more_until_it_may(fleet):
    load_persons(fleet.deps, _PERSONS + _FEW)
    _, first = fleet.start("dispatcher", "worker")
    job_id = submit(fleet.deps, 0, _PERSONS)
    fleet.reached(job_id, 50)
    (drained,) = until(lambda: _workers(fleet))
    assert drained.pid == first.pid
    assert (drained.rss_bytes or 0) > 1 << 20
    worker_drain.drain(fleet.deps, drained.id)
    until(lambda: _is(fleet, drained.id, ProcessState.DRAINED))
    small = submit(fleet.deps, _PERSONS, _PERSONS + _SMALL)
    stands = fleet.report(job_id).delivered
    assert stands < _PERSONS
    # Whatever is handed out from now on stays in the broker, small jobs too: nobody
    # takes it, and nobody puts it back.
    until(lambda: _handed_out(fleet, small))
    before = _handed_out(fleet, job_id) | _handed_out(fleet, small)
    _let_the_dispatcher_report_twice(fleet)
    after = _handed_out(fleet, job_id) | _handed_out(fleet, small)
    assert before.items() <= after.items()
    assert (fleet.report(job_id).delivered, fleet.report(small).delivered) == (
        *(stands,),
        0,
    )
    (second,) = fleet.start("worker")
    assert_exact(fleet, job_id, 0, _PERSONS)
    assert_exact(fleet, small, _PERSONS, _PERSONS + _SMALL)
    assert _is(fleet, drained.id, ProcessState.DRAINED)
    assert fleet.scalar("SELECT sum(crashes) FROM chunks") == 0
    kill(second)
    worker_drain.undrain(fleet.deps, drained.id)
    until(lambda: _is(fleet, drained.id, ProcessState.ALIVE))
    last = submit(fleet.deps, _PERSONS + _SMALL, _PERSONS + _FEW)
    assert_exact(fleet, last, _PERSONS + _SMALL, _PERSONS + _FEW)


def test_a_chunk_in_hand_is_traced_to_its_worker(fleet):
    load_persons(fleet.deps, _PERSONS)
    fleet.start("dispatcher", "worker", "worker")
    job_id = submit(fleet.deps, 0, _PERSONS)

    def in_hand() -> list[Process]:
        return [process for process in _workers(fleet) if process.chunks]

    busy = until(lambda: len(found := in_hand()) == 2 and found)
    assert busy
    for process in busy:
        assert {chunk.job_id for chunk in process.chunks} == {job_id}
        assert {chunk.state for chunk in process.chunks} == {ChunkState.RUNNING}


def test_a_rolling_restart_in_mid_job_loses_no_credit_and_no_lease(fleet):
    load_persons(fleet.deps, _PERSONS)
    _, *workers = fleet.start("dispatcher", "worker", "worker")
    job_id = submit(fleet.deps, 0, _PERSONS)
    for number, worker in enumerate(workers):
        fleet.reached(job_id, 100 + 300 * number)
        worker.send_signal(signal.SIGTERM)
        fleet.start("worker")
        assert worker.wait(30) == 0
    fleet.ended(job_id, within_s=45)
    assert_exact(fleet, job_id, 0, _PERSONS)
    assert fleet.scalar("SELECT sum(crashes) FROM chunks") == 0
    assert fleet.report(job_id).settled == answer(0, _PERSONS).settled


@pytest.mark.slow
def test_a_worker_told_to_stop_hands_back_a_chunk_whose_batch_hangs(
    tmp_path, database_url, broker, redis_url
):
    settings = {
        "WEBHOOK_ALLOW_PRIVATE": "1",
        "HAND_BACK_S": "0.5",
        "LEASE_S": "6",
        "REDIS_URL": redis_url,
    }
    hangs, goes_on = Event(), Event()

    def hang(number: int) -> Reply:
        if b"push.ping" not in there.calls[number - 1].body:
            hangs.set()
            wait(goes_on, 60)
        return Reply()

    with (
        receiver() as there,
        fleet_of(tmp_path / "fleet", database_url, broker.url, **settings) as fleet,
    ):
        there.answer = hang
        secret = {"signing_secret": "whsec_c2VjcmV0LW9mLWEtdGVzdA=="}
        connection = connect(fleet.deps, "webhook", {"url": there.url()}, secret)
        job_id = submit_push(
            fleet.deps, connection, [contact(f"c{n}", f"p{n}") for n in range(4)]
        )
        _, worker = fleet.start("dispatcher", "worker")
        assert wait(hangs, 60)
        worker.send_signal(signal.SIGTERM)
        until(lambda: any(process.draining_since for process in _workers(fleet)))
        handed_back = """
            SELECT count(*) FROM chunks
             WHERE state = 'pending' AND last_error = 'worker_stopped'"""
        until(lambda: fleet.scalar(handed_back), within_s=5)
        # The request may yet come through: nobody asks before it must have ended.
        waits = f"{handed_back} AND run_at > clock_timestamp()"
        assert fleet.scalar(waits)
        goes_on.set()
        assert worker.wait(30) == 0
        assert fleet.report(job_id).delivered == 0
        fleet.start("worker")
        report = fleet.ended(job_id)
        assert (report.state, report.delivered, report.settled) == ("succeeded", 4, 4)
        assert fleet.scalar("SELECT sum(crashes) FROM chunks") == 0
