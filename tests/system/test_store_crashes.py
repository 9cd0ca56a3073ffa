"""An S3 server that is killed under real workers: jobs wait, and end exactly."""

from collections.abc import Iterator

import pytest

from tests.support import peak_memory, stores
from tests.support.fleet import (
    Fleet,
    assert_exact,
    fleet_of,
    load_persons,
    submit,
    until,
)
from tests.support.servers import own_broker

_PERSONS = 400


@pytest.fixture
def s3(tmp_path, s3_keys) -> Iterator[stores.S3Server]:
    (tmp_path / "s3").mkdir()
    with stores.running("rclone", tmp_path / "s3") as server:
        yield server


@pytest.fixture
def fleet(database_url, tmp_path, s3) -> Iterator[Fleet]:
    with (
        own_broker(tmp_path / "broker") as broker,
        broker.running(),
        # Longer than a request that is tried three times.
        fleet_of(
            tmp_path / "fleet",
            database_url,
            broker.url,
            LEASE_S="10",
            ARTIFACTS_URL=s3.bucket(),
        ) as fleet,
    ):
        yield fleet


def _waits(fleet: Fleet, job_id: str) -> bool:
    return fleet.report(job_id).waiting_reason == "storage"


def _kill_at(fleet: Fleet, s3: stores.S3Server, job_id: str, delivered: int) -> None:
    """Kill the server, and start it again once a worker has met with it."""
    fleet.reached(job_id, delivered)
    s3.kill()
    until(lambda: _waits(fleet, job_id))
    s3.start()


@pytest.mark.full
def test_a_store_killed_again_and_again_costs_nothing(fleet, s3):
    load_persons(fleet.deps, _PERSONS)
    fleet.start("dispatcher", "worker")
    job_id = submit(fleet.deps, 0, _PERSONS)
    for delivered in range(10, 390, 20):
        _kill_at(fleet, s3, job_id, delivered)
    assert_exact(fleet, job_id, 0, _PERSONS)


_COPY = """
import sys
from storage.files.artifact_store import open_artifacts

store = open_artifacts(sys.argv[1], timeout_s=5)
for mib in (24, 72):
    with store.create("jobs/a.csv") as draft:
        for _ in range(mib):
            draft.write(b"x" * (1 << 20))
    with store.open("jobs/a.csv") as stream:
        size = sum(len(data) for data in iter(lambda: stream.read(1 << 20), b""))
    assert size == draft.bytes
    print(peak_kib())
"""


def test_a_large_file_takes_no_more_memory_than_one_of_a_few_pieces(s3):
    few, many = map(int, peak_memory.run(_COPY, s3.bucket()).split())
    assert many - few < 8 << 10
