"""The sweeper brings back what was left behind, and gives up on what kills workers."""

import io
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from pricing.findings import EmailLevel
from pricing.plans import Item, PaymentTerm, Plan
from storage.exports import file_parts
from storage.jobs import chunks, dispatch_queue, job_reports, outbox
from storage.jobs.job_reports import JobReport
from storage.licenses.licenses import business_now
from storage.quotes import quotes
from storage.state_machine import ENDED
from tests.support.business_time import DAY_S, shift_to
from tests.support.job_runs import little_room
from worker.findings.directory_import import load_directory
from worker.infrastructure.errors import Refused
from worker.infrastructure.settings import Settings
from worker.infrastructure.task_results import Done, Later, Never
from worker.jobs import job_control, submission
from worker.jobs.chunk_runner import run_chunk
from worker.jobs.outbox_runner import run_entry
from worker.jobs.sweeper import sweep
from worker.licenses import licenses
from worker.quotes import quote_maker
from worker.quotes.readers.formats import CSV
from worker.wiring import Wired, wire

_RECORDS = 20
_AT_ONCE = 0.0


@pytest.fixture
def deps(database_url: str, tmp_path: Path) -> Iterator[Wired]:
    settings = Settings(
        home=tmp_path,
        database_url=database_url,
        chunk_records=10,
        batch_records=5,
        retry_base_s=0.001,
        message_lost_s=0.001,
        complete_at_once_records=0,
    )
    deps = wire(settings)
    new = licenses.NewLicense(
        id="acme",
        name="Acme",
        plan=Plan.V1,
        payment_term=PaymentTerm.MONTHLY,
        credits=1_000,
    )
    licenses.create_license(deps, new)
    load_directory(deps, [b'{"person_id":"p%d","phone":"1"}' % n for n in range(20)])
    yield deps
    deps.database.close()


@pytest.fixture
def job_id(deps: Wired) -> str:
    request = quotes.Request(
        kind="export",
        license_id="acme",
        user_id="u",
        retrieve=(Item.PHONE,),
        email_level=EmailLevel.VERIFIED,
        only_with=None,
        export={"format": "csv"},
    )
    rows = "".join(f"c{number},p{number}\n" for number in range(_RECORDS))
    stream = io.BytesIO(f"company_id,person_id\n{rows}".encode())
    stored = quote_maker.quote(deps, request, CSV.read(stream))
    return submission.submit(deps, stored.id)


def _report(deps: Wired, job_id: str) -> JobReport:
    with deps.database.transaction() as connection:
        found = job_reports.job(connection, job_id)
    assert found is not None
    return found


def _pending(deps: Wired, table: str) -> list[int]:
    with deps.database.transaction() as connection:
        rows = connection.execute(
            text(f"SELECT id FROM {table} WHERE state = 'pending' ORDER BY id")
        )
        return list(rows.scalars())


def _crash(deps: Wired, chunk_id: int) -> None:
    """Take a chunk as a worker does that dies at once."""
    with deps.database.transaction() as connection:
        taken = chunks.take(connection, chunk_id, owner="dead", lease_s=_AT_ONCE)
    assert taken is not None


def _finish(deps: Wired, job_id: str) -> JobReport:
    """Run what is there, as workers would, until the job has ended."""
    while _report(deps, job_id).state not in ENDED:
        for chunk_id in _pending(deps, "chunks"):
            run_chunk(deps, chunk_id)
        for entry_id in _pending(deps, "outbox"):
            run_entry(deps, entry_id)
    return _report(deps, job_id)


def _covers(deps: Wired, record: int) -> int | None:
    """The chunk that has this record still before it, if one waits."""
    with deps.database.transaction() as connection:
        return connection.execute(
            text("""
                SELECT id FROM chunks WHERE state = 'pending'
                   AND cursor < :record AND :record <= stop"""),
            {"record": record},
        ).scalar_one_or_none()


def test_a_record_that_keeps_killing_workers_is_rejected_and_costs_nothing(
    deps, job_id
):
    crashes = 0
    while (chunk_id := _covers(deps, 7)) is not None:
        _crash(deps, chunk_id)
        crashes += 1
        sweep(deps)
        for waiting in _pending(deps, "chunks"):
            if waiting != _covers(deps, 7):
                run_chunk(deps, waiting)
    report = _finish(deps, job_id)
    assert (report.state, report.rejected) == ("partial", 1)
    assert report.delivered == _RECORDS - 1
    assert report.settled == 3 * (_RECORDS - 1)
    assert report.released == 3
    assert crashes <= 12, "halving finds one of ten records in few steps"
    with deps.database.transaction() as connection:
        row = connection.execute(
            text("SELECT record, code FROM outcomes WHERE outcome = 'rejected'")
        ).one()
    assert tuple(row) == (7, "worker_crashed")


def test_a_crash_is_forgiven_by_progress(deps, job_id):
    (first, _) = _pending(deps, "chunks")
    _crash(deps, first)
    sweep(deps)
    assert isinstance(run_chunk(deps, first), Done)
    report = _finish(deps, job_id)
    assert (report.state, report.settled) == ("succeeded", 3 * _RECORDS)


def test_a_lease_that_has_not_lapsed_is_left_alone(deps, job_id):
    (first, second) = _pending(deps, "chunks")
    with deps.database.transaction() as connection:
        assert chunks.take(connection, first, owner="alive", lease_s=60) is not None
    sweep(deps)
    assert _pending(deps, "chunks") == [second]
    assert isinstance(run_chunk(deps, first), Never)
    _give_up(deps, first)
    assert _finish(deps, job_id).state == "succeeded"


def _give_up(deps: Wired, chunk_id: int) -> None:
    with deps.database.transaction() as connection:
        connection.execute(
            text("UPDATE chunks SET lease_until = clock_timestamp() WHERE id = :id"),
            {"id": chunk_id},
        )
    sweep(deps)


def test_a_completion_whose_worker_died_is_done_by_another_once(deps, job_id):
    for chunk_id in _pending(deps, "chunks"):
        run_chunk(deps, chunk_id)
    (entry_id,) = _pending(deps, "outbox")
    with deps.database.transaction() as connection:
        dead = outbox.take(connection, entry_id, owner="dead", lease_s=_AT_ONCE)
    assert dead is not None
    sweep(deps)
    report = _finish(deps, job_id)
    assert (report.state, report.settled) == ("succeeded", 3 * _RECORDS)
    with deps.database.transaction() as connection:
        assert not outbox.done(connection, dead), "the dead one comes too late"


def test_a_job_whose_reservation_has_expired_is_cancelled_as_by_a_user(
    deps, job_id, database_url
):
    (first, _) = _pending(deps, "chunks")
    run_chunk(deps, first)
    shift_to(deps.database, 15 * DAY_S)
    sweep(deps)
    report = _finish(deps, job_id)
    assert (report.state, report.error_code) == ("cancelled", "reservation_expired")
    assert (report.delivered, report.unreached) == (10, 10)
    assert (report.settled, report.released) == (30, 30)


def test_a_period_that_is_over_ends_and_its_rest_expires(deps):
    shift_to(deps.database, 40 * DAY_S)
    sweep(deps)
    with deps.database.transaction() as connection:
        row = connection.execute(
            text("SELECT granted, expired, ended_at IS NOT NULL FROM periods")
        ).one()
    assert tuple(row) == (1_000, 1_000, True)


def test_a_disk_that_is_full_makes_the_job_wait_and_charges_nothing(deps, job_id):
    (first, _) = _pending(deps, "chunks")
    with little_room(8):
        assert isinstance(run_chunk(deps, first), Later)
    report = _report(deps, job_id)
    assert (report.state, report.settled, report.delivered) == ("running", 0, 0)
    assert report.waiting_reason == "storage"
    report = _finish(deps, job_id)
    assert (report.state, report.settled) == ("succeeded", 3 * _RECORDS)
    assert report.waiting_reason is None


def test_sealing_on_a_full_disk_is_tried_again_until_there_is_room(deps, job_id):
    for chunk_id in _pending(deps, "chunks"):
        run_chunk(deps, chunk_id)
    (entry_id,) = _pending(deps, "outbox")
    with little_room(8):
        assert isinstance(run_entry(deps, entry_id), Later)
    assert _report(deps, job_id).state == "finishing"
    assert _report(deps, job_id).waiting_reason == "storage"
    report = _finish(deps, job_id)
    assert (report.state, report.settled) == ("succeeded", 3 * _RECORDS)


def test_a_part_that_was_changed_is_never_sealed(deps, job_id):
    for chunk_id in _pending(deps, "chunks"):
        run_chunk(deps, chunk_id)
    with deps.database.transaction() as connection:
        part = file_parts.of_job(connection, job_id)[0]
    path = Path(deps.artifacts.locate(part.name))
    data = path.read_bytes()
    path.write_bytes(data.replace(b"p1", b"p9"))
    (entry_id,) = _pending(deps, "outbox")
    assert isinstance(run_entry(deps, entry_id), Later)
    assert _report(deps, job_id).file_name is None
    path.write_bytes(data)
    assert _finish(deps, job_id).state == "succeeded"


def test_progress_moves_the_deadline_by_the_lifetime_and_no_further(deps, job_id):
    for chunk_id in _pending(deps, "chunks"):
        run_chunk(deps, chunk_id)
    with deps.database.transaction() as connection:
        ahead_s = connection.execute(
            text("""
                SELECT extract(epoch FROM deadline_at - holdfast_now())
                  FROM reservations"""),
        ).scalar_one()
    lifetime_s = deps.settings.reservation_lifetime_s
    assert lifetime_s - 60 < ahead_s <= lifetime_s


def _cut_short(deps: Wired) -> tuple[Path, bytes]:
    (path,) = Path(deps.settings.home, "files", "inputs").glob("*.jsonl")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 4])
    return path, data


def test_an_input_that_was_cut_short_makes_the_job_wait_and_not_spin(deps, job_id):
    path, data = _cut_short(deps)
    for chunk_id in _pending(deps, "chunks"):
        assert isinstance(run_chunk(deps, chunk_id), Later)
    report = _report(deps, job_id)
    assert (report.delivered, report.waiting_reason) == (0, "storage")
    path.write_bytes(data)
    assert _finish(deps, job_id).state == "succeeded"


def test_a_sweep_that_fails_stops_none_of_the_others(deps, job_id):
    path, data = _cut_short(deps)
    first, second = _pending(deps, "chunks")
    with deps.database.transaction() as connection:
        connection.execute(
            text("""
                UPDATE chunks SET crashes = 2, state = 'running', stop = first + 1,
                       lease_until = clock_timestamp()
                 WHERE id = :id"""),
            {"id": second},
        )
        assert chunks.take(connection, first, owner="dead", lease_s=_AT_ONCE)
    sweep(deps)
    assert first in _pending(deps, "chunks")
    path.write_bytes(data)
    with deps.database.transaction() as connection:
        connection.execute(
            text("UPDATE chunks SET stop = first + 10 WHERE id = :id"), {"id": second}
        )
    sweep(deps)
    assert _finish(deps, job_id).state == "succeeded"


def test_a_license_with_many_jobs_that_wait_can_still_run_another(deps):
    jobs = [_submit(deps, number) for number in range(23)]
    with deps.database.transaction() as connection:
        connection.execute(
            text("""
                UPDATE chunks SET run_at = clock_timestamp() + interval '1 hour'
                 WHERE job_id <> :last"""),
            {"last": jobs[-1]},
        )
        found = dispatch_queue.waiting(connection, window=8)
    assert {chunk.job_id for chunk in found} == {jobs[-1]}
    for job in jobs:
        job_control.cancel(deps, job)
    assert {_finish(deps, job).state for job in jobs} == {"cancelled"}


def test_a_quote_from_before_the_start_makes_a_job_after_it(deps):
    with deps.database.transaction() as connection:
        now = business_now(connection)
    licenses.create_license(
        deps,
        licenses.NewLicense(
            id="soon",
            name="Soon",
            plan=Plan.V1,
            payment_term=PaymentTerm.MONTHLY,
            credits=10,
            starts_at=now + timedelta(seconds=60),
        ),
    )
    stored = _quote(deps, 1, license_id="soon")
    with pytest.raises(Refused) as refused:
        submission.submit(deps, stored)
    assert refused.value.code == "insufficient_credits"
    shift_to(deps.database, 120.0)
    job = submission.submit(deps, stored)
    assert _finish(deps, job).settled == 1


def test_a_refusal_counts_what_fits_by_what_is_available_now(deps):
    first, second = (_quote(deps, start, records=600) for start in (0, 5000))
    submission.submit(deps, first)
    with pytest.raises(Refused) as refused:
        submission.submit(deps, second)
    assert refused.value.facts == {"available": 400, "needed": 600, "fits_records": 400}
    (job,) = _jobs(deps)
    job_control.cancel(deps, job)
    _finish(deps, job)


def _quote(deps: Wired, start: int, records: int = 1, license_id: str = "acme") -> str:
    request = quotes.Request(
        kind="export",
        license_id=license_id,
        user_id="u",
        retrieve=(),
        email_level=EmailLevel.VERIFIED,
        only_with=None,
        export={"format": "csv"},
    )
    rows = "".join(f"x{number}\n" for number in range(start, start + records))
    stream = io.BytesIO(f"company_id\n{rows}".encode())
    return quote_maker.quote(deps, request, CSV.read(stream)).id


def _submit(deps: Wired, number: int) -> str:
    return submission.submit(deps, _quote(deps, number))


def _jobs(deps: Wired) -> list[str]:
    with deps.database.transaction() as connection:
        return list(connection.execute(text("SELECT id FROM jobs")).scalars())
