"""The long ones: a million records, and a job that is crashed all the way through."""

import random
import re
import signal
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import psutil
import pytest

from tests.support.fleet import (
    assert_exact,
    fleet_of,
    kill,
    load_persons,
    submit,
    until,
)
from tests.support.servers import own_broker

pytestmark = pytest.mark.full

_MILLION = 1_000_000
_FEW = 1_000
_GROWTH_MIB = 80
"""What a worker's process may grow by from few records to a million, in any format."""

_SEED = 20_260
_CRASHES = 40


@pytest.mark.parametrize("format_", ["csv", "jsonl", "parquet", "xlsx"])
def test_a_million_records_come_out_exact(database_url, tmp_path, capsys, format_):
    with (
        own_broker(tmp_path / "broker") as broker,
        broker.running(),
        fleet_of(
            tmp_path / "fleet",
            database_url,
            broker.url,
            CHUNK_RECORDS="1000",
            BATCH_RECORDS="500",
            LEASE_S="60",
            MESSAGE_LOST_S="60",
        ) as fleet,
    ):
        load_persons(fleet.deps, _MILLION)
        _, worker = fleet.start("dispatcher", "worker")
        fleet.ended(submit(fleet.deps, 0, _FEW, format_))
        before_mib = _peak_mib(worker)
        began_s = time.perf_counter()
        job_id = submit(fleet.deps, _FEW, _MILLION, format_)
        quoted_s = time.perf_counter()
        fleet.ended(job_id, within_s=3_000)
        ended_s = time.perf_counter()
        grown_mib = _peak_mib(worker) - before_mib
        assert grown_mib <= _GROWTH_MIB
        assert_exact(fleet, job_id, _FEW, _MILLION)
        with capsys.disabled():
            print(f" quoted in {quoted_s - began_s:.0f} s", end="")
            print(f", ran at {_MILLION / (ended_s - quoted_s):,.0f} records/s", end="")
            print(f", grew by {grown_mib:.0f} MiB ", end="")


def _peak_mib(worker: subprocess.Popen[bytes]) -> float:
    """The most memory that one of the worker's processes has had so far."""
    return max(
        int(re.findall(r"VmHWM:\s+(\d+) kB", Path(status).read_text())[0]) / 1024
        for child in psutil.Process(worker.pid).children()
        for status in (f"/proc/{child.pid}/status",)
    )


def _accidents(fleet, broker, workers, dispatchers):
    """What can happen at any moment, each as a function."""

    def kill_worker():
        kill(workers.pop(0))
        workers.extend(fleet.start("worker"))

    def kill_child():
        for child in psutil.Process(workers[0].pid).children()[:1]:
            child.kill()

    def stop_worker():
        workers.pop(0).send_signal(signal.SIGTERM)
        workers.extend(fleet.start("worker"))

    def kill_dispatcher():
        kill(dispatchers.pop(0))
        dispatchers.extend(fleet.start("dispatcher"))

    def flush():
        broker.flush()

    return [kill_worker, kill_child, stop_worker, kill_dispatcher, flush]


def test_two_jobs_crashed_all_the_way_through_come_out_exact(fleet, broker):
    dice = random.Random(_SEED)
    persons = 12_000
    load_persons(fleet.deps, 2 * persons)
    workers = fleet.start("worker", "worker")
    dispatchers = fleet.start("dispatcher", "dispatcher")
    jobs = [
        (submit(fleet.deps, start, start + persons), start) for start in (0, persons)
    ]
    accidents = _accidents(fleet, broker, workers, dispatchers)

    def delivered() -> int:
        return sum(fleet.report(job_id).delivered for job_id, _ in jobs)

    for _ in range(_CRASHES):
        before = delivered()
        if before == 2 * persons:
            break
        dice.choice(accidents)()
        until(partial(_has_moved, delivered, before, 2 * persons))
    for job_id, start in jobs:
        fleet.ended(job_id, within_s=900)
        assert_exact(fleet, job_id, start, start + persons)


def _has_moved(delivered: Callable[[], int], before: int, all_of_them: int) -> bool:
    return before < delivered() or delivered() == all_of_them
