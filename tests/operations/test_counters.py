"""What is counted: once, after the commit, and by all processes together."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from storage.errors import Superseded
from storage.jobs import chunks, lost_work
from storage.ledger import settlement
from storage.operations import counters as kept
from storage.operations.counters import Sample
from tests.support import job_runs
from worker.infrastructure.telemetry import metric_families
from worker.infrastructure.telemetry.counters import COUNTERS, Counters
from worker.infrastructure.telemetry.metric_families import CHUNK_SECONDS, SWEEPS
from worker.jobs import chunk_runner, submission, sweeper
from worker.operations.counter_flush import CounterFlush


@pytest.fixture(autouse=True)
def _nothing_counted():
    COUNTERS.take()
    yield
    COUNTERS.take()


@pytest.fixture
def deps(database_url, tmp_path):
    deps = job_runs.wire_to(database_url, tmp_path)
    job_runs.create_license(deps)
    yield deps
    deps.database.close()


def _counted(name: str) -> dict[tuple[str, ...], float]:
    return {
        labels: value for (of, labels), value in COUNTERS.take().items() if of == name
    }


def _kept(database) -> dict[tuple[str, tuple[str, ...]], float]:
    with database.reading() as connection:
        return kept.read(connection)


def _submit(deps, *contacts: str) -> str:
    return submission.submit(deps, job_runs.quote(deps, contacts).id)


def test_what_is_added_by_many_at_once_is_all_there(database):
    rows: list[Sample] = [("records", (kind, "delivered")) for kind in "dcba"]

    def add(turn: int) -> None:
        some = rows if turn % 2 else rows[::-1]
        counted: dict[Sample, float] = {**dict.fromkeys(some, 1.5), ("sweeps", ()): 1}
        with database.reading() as connection:
            kept.add(connection, counted)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(add, range(40)))
    assert _kept(database) == {**dict.fromkeys(rows, 60), ("sweeps", ()): 40}


def test_a_batch_is_counted_by_kind_and_result_with_its_credits_and_times(deps):
    job_runs.know(deps, "p1")
    job = _submit(deps, "c1/p1", "c2/p2", "c3")
    COUNTERS.take()
    job_runs.run_chunks(deps, job)
    counted = COUNTERS.take()
    settled = job_runs.report(deps, job).settled
    assert counted["records", ("export", "delivered")] == 3
    assert counted["credits_settled", ("export",)] == settled > 0
    batches = [
        number
        for (name, labels), number in counted.items()
        if name == "checkpoint_seconds_bucket" and labels[0] == "export"
    ]
    assert sum(batches) == 3
    assert counted["chunk_seconds_sum", ("export",)] > 0


def test_a_checkpoint_that_is_rolled_back_counts_nothing(deps, monkeypatch):
    job = _submit(deps, "c1")
    COUNTERS.take()

    def lost(*_: object, **__: object) -> None:
        raise Superseded("somebody else holds it")

    monkeypatch.setattr(settlement, "settle_columns", lost)
    job_runs.run_chunks(deps, job)
    counted = COUNTERS.take()
    assert counted["fenced_writes", ("chunk",)] == 1
    assert not [name for name, _ in counted if name in ("records", "credits_settled")]


def test_a_failure_is_counted_by_its_kind_and_reason(deps, monkeypatch):
    job = _submit(deps, "c1")
    COUNTERS.take()
    monkeypatch.setattr(chunk_runner, "read_slice", lambda *_, **__: 1 / 0)
    job_runs.run_chunks(deps, job)
    assert _counted("chunk_failures") == {("export", "retry"): 1}


def test_a_lapsed_lease_is_counted_once_by_whoever_brings_it_back(deps):
    job = _submit(deps, "c1")
    with deps.database.transaction() as connection:
        (chunk_id,) = connection.exec_driver_sql("SELECT id FROM chunks").scalars()
        assert chunks.take(connection, chunk_id, owner="gone", lease_s=60)
        connection.exec_driver_sql(
            "UPDATE chunks SET lease_until = clock_timestamp() - interval '1 second'"
        )
        lapsed = lost_work.lapsed_chunks(connection, limit=1)
    COUNTERS.take()
    sweeper.sweep(deps)
    sweeper._rescue(deps, lapsed[0])
    counted = COUNTERS.take()
    assert counted["leases_expired", ("chunk",)] == 1
    assert counted["sweeps", ()] == 1
    assert job


def test_a_record_that_keeps_killing_workers_is_counted_as_rejected(deps):
    _submit(deps, "c1")
    with deps.database.transaction() as connection:
        (chunk_id,) = connection.exec_driver_sql("SELECT id FROM chunks").scalars()
        assert chunks.take(connection, chunk_id, owner="gone", lease_s=60)
        connection.exec_driver_sql(
            f"UPDATE chunks SET crashes = {deps.settings.crashes_max - 1},"
            " lease_until = clock_timestamp() - interval '1 second'"
        )
    COUNTERS.take()
    sweeper.sweep(deps)
    assert _counted("records") == {("export", "rejected"): 1}


def test_what_cannot_be_kept_is_counted_again_later(database, broken_database):
    counters = Counters()
    counters.add(SWEEPS)
    with broken_database.transaction() as connection:
        connection.exec_driver_sql("ALTER TABLE counters RENAME TO elsewhere")
    flush = CounterFlush(broken_database, counters)
    flush.flush()
    counters.add(SWEEPS)
    with broken_database.transaction() as connection:
        connection.exec_driver_sql("ALTER TABLE elsewhere RENAME TO counters")
    flush.close()
    assert _kept(broken_database) == {("sweeps", ()): 2}


def test_the_end_of_a_process_flushes_and_ends_its_thread(database):
    counters = Counters()
    before = threading.active_count()
    flush = CounterFlush(database, counters)
    counters.observe(CHUNK_SECONDS, 0.07, "export")
    flush.close()
    assert threading.active_count() == before
    assert _kept(database) == {
        ("chunk_seconds_bucket", ("export", "0.1")): 1,
        ("chunk_seconds_sum", ("export",)): pytest.approx(0.07),
    }


def test_a_process_that_was_forked_has_counted_nothing():
    COUNTERS.add(SWEEPS)
    pid = os.fork()
    if not pid:
        os._exit(0 if COUNTERS.take() == {} else 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert COUNTERS.take() == {("sweeps", ()): 1}


def test_labels_have_few_values():
    """No family is by license, job, connection or person: those come without end."""
    endless = {"license", "job", "user", "chunk", "connection", "company", "person"}
    assert not [
        family.name for family in metric_families.FAMILIES if endless & {*family.labels}
    ]
