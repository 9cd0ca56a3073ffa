"""What processes counted reaches the database, and is never more than was done."""

import pytest

from storage.operations import counters
from tests.support.fleet import Fleet, assert_exact, kill, load_persons, submit

_SMALL, _LARGE = 5, 120


def _counted(fleet: Fleet) -> tuple[float, float]:
    """Records that were delivered, and credits that were settled."""
    with fleet.deps.database.reading() as connection:
        found = counters.read(connection)
    return (
        found["records", ("export", "delivered")],
        found["credits_settled", ("export",)],
    )


def _stop(*processes) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        process.wait(60)


def test_processes_that_are_told_to_stop_have_said_all_that_they_counted(fleet):
    load_persons(fleet.deps, _SMALL + _LARGE)
    processes = fleet.start("worker", "dispatcher")
    small = submit(fleet.deps, 0, _SMALL)
    large = submit(fleet.deps, _SMALL, _SMALL + _LARGE)
    assert_exact(fleet, small, 0, _SMALL)
    assert_exact(fleet, large, _SMALL, _SMALL + _LARGE)
    _stop(*processes)
    settled = sum(fleet.report(job).settled for job in (small, large))
    assert _counted(fleet) == (_SMALL + _LARGE, settled)


@pytest.mark.slow
def test_a_worker_that_is_killed_has_counted_nothing_that_was_not_committed(fleet):
    load_persons(fleet.deps, _LARGE)
    worker, dispatcher = fleet.start("worker", "dispatcher")
    job = submit(fleet.deps, 0, _LARGE)
    fleet.reached(job, 1)
    kill(worker)
    (worker,) = fleet.start("worker")
    assert_exact(fleet, job, 0, _LARGE)
    _stop(worker, dispatcher)
    delivered, settled = _counted(fleet)
    report = fleet.report(job)
    assert 0 < delivered <= _LARGE
    assert 0 < settled <= report.settled
