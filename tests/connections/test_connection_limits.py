"""The limit of a connection: all of it is never exceeded, and hardly any is wasted."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.push_runs import connect, contact, run_once, submit
from tests.support.sandboxes import Sandbox
from worker.connections import connections
from worker.infrastructure.clock import monotonic_s
from worker.jobs import job_control

_WINDOWS = 5
_SHARE = 0.9


def _fill(house, wired, sandbox: Sandbox, limit: int, window_s: int) -> list[int]:
    """Push by two workers for some windows; how many requests each window has had."""
    sandbox.behave("hubspot", limit=limit, window_s=window_s, latency_ms=20)
    connection = connect(
        house,
        "hubspot",
        {"url": f"{sandbox.url}/hubspot", "batch_records": 10},
        {"access_token": "token"},
    )
    assert connections.test(house, connection).ok
    records = limit * (_WINDOWS + 1) * 5
    halves = [[contact(f"c{half}-{n}") for n in range(records)] for half in range(2)]
    job_ids = [submit(house, connection, half) for half in halves]
    begun_s = monotonic_s()

    def work(job_id: str) -> None:
        worker = wired(batch_records=10, chunk_budget_s=1)
        while monotonic_s() - begun_s < window_s * (_WINDOWS + 1):
            run_once(worker, job_id)

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(work, job_ids))
    for job_id in job_ids:
        job_control.cancel(house, job_id)
    told = sandbox.tally("hubspot")
    assert told["refused"] == 0
    times = sorted(told["times"])[1:]
    starts = [times[0] + window_s * number for number in range(_WINDOWS)]
    return [sum(start <= at < start + window_s for at in times) for start in starts]


@pytest.mark.alone
def test_each_full_window_uses_nine_tenths_of_a_limit_and_never_more_than_all(
    house, wired, sandbox
):
    used = _fill(house, wired, sandbox, limit=30, window_s=3)
    print(f"requests of 30 in each 3 s: {used}")
    assert all(30 * _SHARE <= count <= 30 for count in used)


@pytest.mark.alone
@pytest.mark.full
def test_each_full_window_of_a_hundred_requests_in_ten_seconds_is_used_so(
    house, wired, sandbox
):
    used = _fill(house, wired, sandbox, limit=100, window_s=10)
    print(f"requests of 100 in each 10 s: {used}")
    assert all(100 * _SHARE <= count <= 100 for count in used)
