"""What watching costs: less than a hundredth of the checkpoints that are watched."""

import time
from collections import Counter
from collections.abc import Callable

import psutil
import pytest

from pricing.settlement import Outcome
from storage.database import Database
from storage.jobs import chunks
from storage.jobs.chunks import Batch, TakenChunk
from storage.jobs.outcomes import RecordOutcome
from storage.ledger.claims import Claim
from storage.operations import counters, history
from storage.operations.counters import Sample
from tests.support.stored_jobs import claim, make_job, make_license
from worker.infrastructure.telemetry import metric_families
from worker.infrastructure.telemetry.counters import COUNTERS
from worker.operations.counter_flush import EVERY_S
from worker.operations.history_keeper import LOOK_EVERY_S

_MOST = 0.01
_RECORDS = 500
_BATCHES = 40
_WRITES = 200
_FAMILIES = 30
"""As many numbers as a worker of both kinds has to say at once."""


def _cpu_s() -> float:
    """Of this process and of PostgreSQL, which it started."""
    ours = psutil.Process()
    return sum(
        times.user + times.system
        for times in (one.cpu_times() for one in (ours, *ours.children(recursive=True)))
    )


def _cost_s(do: Callable[[int], object], times: int) -> tuple[float, float]:
    """CPU and time that something takes once, of so many times."""
    cpu_s, began_s = _cpu_s(), time.perf_counter()
    for number in range(times):
        do(number)
    return (_cpu_s() - cpu_s) / times, (time.perf_counter() - began_s) / times


def _claims(number: int) -> list[Claim]:
    return [
        *(claim(f"company:c{number}-{one // 5}=1") for one in range(0, _RECORDS, 5)),
        *(claim(f"email:p{number}-{one}=1") for one in range(_RECORDS)),
        *(claim(f"phone:p{number}-{one}=2") for one in range(_RECORDS)),
    ]


def _batch(number: int) -> Batch:
    first = number * _RECORDS
    return Batch.of(
        first,
        [
            RecordOutcome(place + 1, f"c{number}", f"p{place}", Outcome.DELIVERED)
            for place in range(first, first + _RECORDS)
        ],
        _claims(number),
    )


def _taken(database: Database) -> TakenChunk:
    with database.transaction() as connection:
        make_license(connection, credits_granted=10**6)
        make_job(connection, amount=500_000, chunks=[_RECORDS * _BATCHES])
        (chunk_id,) = connection.exec_driver_sql("SELECT id FROM chunks").scalars()
        taken = chunks.take(connection, chunk_id, owner="w", lease_s=600)
    assert taken is not None
    return taken


def _count(batch: Batch) -> None:
    COUNTERS.observe(metric_families.CHECKPOINT_SECONDS, 0.01, "export")
    COUNTERS.add(metric_families.CREDITS_SETTLED, "export", by=1600)
    for outcome, count in Counter(batch.outcomes.outcomes).items():
        COUNTERS.add(metric_families.RECORDS, "export", str(outcome), by=count)
    assert batch.rejections() == []


@pytest.mark.alone
def test_counting_and_keeping_cost_less_than_a_hundredth(broken_database, slack):
    database = broken_database
    taken, batches = _taken(database), [_batch(one) for one in range(_BATCHES)]

    def checkpoint(number: int) -> None:
        with database.transaction() as connection:
            chunks.checkpoint(connection, taken, batches[number], lease_s=600)

    numbers: dict[Sample, float] = {
        ("records", (str(one), "x")): 1 for one in range(_FAMILIES)
    }

    def flush(_: int) -> None:
        with database.reading() as connection:
            counters.add(connection, numbers)

    def note(_: int) -> None:
        with database.transaction() as connection:
            connection.exec_driver_sql("DELETE FROM history")
            assert history.note(connection, processes_within_s=60)
            history.thin(connection, kept_s=1e7)

    def look(_: int) -> None:
        with database.transaction() as connection:
            assert not history.note(connection, processes_within_s=60)

    checkpoint_s, took_s = _cost_s(checkpoint, _BATCHES)
    count_s, _ = _cost_s(lambda _: _count(batches[0]), 2_000)
    flush_s, note_s, look_s = (
        _cost_s(write, _WRITES)[0] for write in (flush, note, look)
    )
    # One process that does nothing but checkpoints, and a dispatcher, for a minute.
    kept_s = note_s + look_s * 60 / LOOK_EVERY_S + flush_s * 60 / EVERY_S
    share = (count_s + kept_s / (60 / took_s)) / checkpoint_s
    print(
        f"a checkpoint {checkpoint_s * 1e3:.1f} ms; counting {count_s * 1e6:.0f} us, a "
        f"flush {flush_s * 1e3:.2f} ms, a minute's row {note_s * 1e3:.2f} ms, a look "
        f"{look_s * 1e3:.2f} ms: {share:.2%}"
    )
    assert share < _MOST * slack
