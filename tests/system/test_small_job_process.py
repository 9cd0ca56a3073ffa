"""The process for small jobs: it needs no dispatcher, and is never left over."""

import signal

import psutil
import pytest

from tests.support.fleet import assert_exact, load_persons, submit

_SMALL = 5


def _first_child(worker) -> psutil.Process:
    """The process for small jobs: it is forked before the children of the pool."""
    children = psutil.Process(worker.pid).children()
    return min(children, key=lambda one: (one.create_time(), one.pid))


def test_small_jobs_end_without_a_dispatcher_also_once_it_was_killed(fleet):
    load_persons(fleet.deps, 2 * _SMALL)
    (worker,) = fleet.start("worker")
    assert_exact(fleet, submit(fleet.deps, 0, _SMALL), 0, _SMALL)
    _first_child(worker).kill()
    last = submit(fleet.deps, _SMALL, 2 * _SMALL)
    assert_exact(fleet, last, _SMALL, 2 * _SMALL)


@pytest.mark.parametrize(
    "number", [pytest.param(signal.SIGTERM, marks=pytest.mark.slow), signal.SIGKILL]
)
def test_it_ends_with_the_worker(fleet, number):
    load_persons(fleet.deps, _SMALL)
    (worker,) = fleet.start("worker")
    assert_exact(fleet, submit(fleet.deps, 0, _SMALL), 0, _SMALL)
    process = _first_child(worker)
    worker.send_signal(number)
    worker.wait(30)
    gone, _ = psutil.wait_procs([process], timeout=10)
    assert gone == [process]
