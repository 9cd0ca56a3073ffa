"""Reconciling: what ended well differs in nothing, whatever it was, and gives way."""

import subprocess
from collections.abc import Iterator
from contextlib import closing
from threading import Event

import psycopg
import pytest
from sqlalchemy import make_url, text

from pricing.plans import Plan
from storage.finance.reconciliation import runs
from storage.finance.reconciliation.runs import Shown
from tests.support import job_runs
from tests.support.fleet import until
from tests.support.terminals import WarmTerminal
from worker.finance.reconciliation import reconciler, reconciliations, runners
from worker.finance.reconciliation.reconcile_process import ReconcileProcess
from worker.infrastructure.errors import Code, Refused
from worker.jobs import submission
from worker.retention import person_erasure
from worker.wiring import Wired


@pytest.fixture
def deps(database_url, tmp_path) -> Iterator[Wired]:
    deps = job_runs.wire_to(database_url, tmp_path)
    with closing(deps.database):
        job_runs.create_license(deps, plan=Plan.V3)
        job_runs.know(deps, "p1", "p2", "p3")
        yield deps


def _export(deps: Wired, *contacts: str, **asked: object) -> str:
    job_id = submission.submit(deps, job_runs.quote(deps, contacts, **asked).id)  # type: ignore[arg-type]
    job_runs.run(deps, job_id)
    return job_id


def _reconcile(deps: Wired) -> Shown:
    run = runners.run_now(deps, "open", None)
    return reconciliations.show(deps, run.id, limit=1000)


def _execute(deps: Wired, statement: str) -> None:
    """As a superuser who is past triggers."""
    url = make_url(str(deps.settings.database_url)).set(drivername="postgresql")
    with psycopg.connect(url.render_as_string(hide_password=False)) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute(statement)


_COUNTS = ("periods", "jobs", "charges", "recomputed", "differences")
_FORMATS = {
    "csv": {"format": "csv"},
    "excel": {"format": "csv", "profile": "excel"},
    "excel_eu": {"format": "csv", "profile": "excel_eu"},
    "jsonl": {"format": "jsonl", "nulls": "null"},
    "parquet": {"format": "parquet", "nulls": "null"},
    "xlsx": {"format": "xlsx"},
    "zip": {"format": "csv", "split_records": 2},
    "zip of workbooks": {"format": "xlsx", "split_records": 2},
    "chosen": {
        "format": "csv",
        "columns": [{"field": "email", "heading": "E"}, {"field": "phone"}],
    },
}


@pytest.mark.parametrize("export", _FORMATS.values(), ids=_FORMATS)
def test_what_ended_well_differs_in_nothing(deps, export):
    _export(deps, "c1/p1", "c1/p2", "c2/p3", "c3", "c4/p4", "=c5/p5", export=export)
    _export(deps, "c1/p1", "c2", "c6/p2", export=export)
    shown = _reconcile(deps)
    assert shown.differences == []
    assert shown.reasons == []
    assert shown.run.error is None
    assert shown.run.charges == shown.run.recomputed > 0


@pytest.mark.parametrize("export", _FORMATS.values(), ids=_FORMATS)
def test_a_file_that_was_changed_is_named(deps, export):
    job_id = _export(deps, "c1/p1", "c1/p2", "c2/p3", "c3", export=export)
    (path,) = (deps.settings.home / "files" / "jobs" / job_id).glob(f"{job_id}.*")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o600)
    path.write_bytes(data)
    named = {one.place for one in _reconcile(deps).differences}
    assert "jobs.file_sha256" in named
    assert "jobs.file_bytes" not in named


def test_files_that_cannot_be_reached_are_waited_for_and_no_difference(deps):
    for place in range(3):
        _export(deps, f"c{place}/p1")
    whole = _reconcile(deps).run
    with deps.database.transaction() as connection:
        run_id = runs.put(connection, "open", None)
    files = deps.settings.home / "files"
    files.rename(away := deps.settings.home / "away")
    runners.run_waiting(deps, Event())
    waits = reconciliations.show(deps, run_id, limit=10)
    assert (waits.run.state, waits.differences) == ("running", [])
    assert waits.run.error is not None
    assert waits.run.error.startswith("waits for files that cannot be reached: ")
    away.rename(files)
    _execute(deps, "UPDATE reconciliations SET lease_until = now() WHERE owner IS NULL")
    runners.run_waiting(deps, Event())
    shown = reconciliations.show(deps, run_id, limit=10)
    assert (shown.run.state, shown.run.error, shown.differences) == ("done", None, [])
    for name in _COUNTS:
        assert getattr(shown.run, name) == getattr(whole, name), name


def test_the_command_says_that_files_cannot_be_reached(deps):
    _export(deps, "c1/p1")
    (deps.settings.home / "files").rename(deps.settings.home / "away")
    with pytest.raises(Refused, match="files that cannot be reached") as told:
        runners.run_now(deps, "open", None)
    assert told.value.code == Code.UNAVAILABLE


def test_a_row_too_many_in_a_file_is_named(deps):
    job_id = _export(deps, "c1/p1", "c2")
    (path,) = (deps.settings.home / "files" / "jobs" / job_id).glob(f"{job_id}.*")
    path.chmod(0o600)
    path.write_bytes(path.read_bytes() + b"c9,p9,a@example.com,valid,1\r\n")
    found = {one.place: one for one in _reconcile(deps).differences}
    assert found["file"].found == "more rows than were delivered"


def test_who_was_erased_is_named_as_not_computed_again(deps):
    _export(deps, "c1/p1", "c2/p2")
    person_erasure.erase(deps, "p1")
    shown = _reconcile(deps)
    assert shown.differences == []
    assert {(one.place, one.found, one.charges) for one in shown.reasons} == {
        ("email", "the person was erased", 1),
        ("phone", "the person was erased", 1),
        ("file", "the file went with a person who was erased", 0),
    }
    assert shown.run.not_recomputable == 2
    assert shown.run.recomputed == shown.run.charges - 2


def test_records_that_have_outlived_their_keeping_are_named(deps):
    job_id = _export(deps, "c1/p1", "c2")
    deps = job_runs.wire_to(
        str(deps.settings.database_url), deps.settings.home, input_kept_s=1e-6
    )
    _execute(deps, "UPDATE quotes SET input = NULL")
    with closing(deps.database):
        shown = _reconcile(deps)
    assert shown.differences == []
    (reason, *_) = shown.reasons
    assert (reason.job_id, reason.found) == (
        job_id,
        "the job's records are not kept any more",
    )
    assert shown.run.recomputed == 0
    assert shown.run.not_recomputable == shown.run.charges > 0


def test_one_reconciles_at_a_time_and_the_other_stays_queued(deps):
    with deps.database.transaction() as connection:
        runs.put(connection, "open", None)
        taken = runs.take(connection, "another", lease_s=60)
    assert taken is not None
    with pytest.raises(Refused, match="another reconciliation runs"):
        runners.run_now(deps, "open", None)
    with deps.database.transaction() as connection:
        states = [
            run.state
            for run in runs.newest(
                connection, license_id=None, before=1 << 62, limit=10
            )
        ]
    assert states == ["queued", "running"]


def test_a_killed_one_goes_on_from_its_cursor_and_counts_nothing_twice(deps):
    for place in range(4):
        _export(deps, f"c{place}/p1", f"d{place}")
    whole = _reconcile(deps).run
    with deps.database.transaction() as connection:
        run_id = runs.put(connection, "open", None)
        assert runs.take(connection, "killed", lease_s=0) is not None
        # As it was left after the second job.
        connection.execute(
            text("""
                UPDATE reconciliations AS r
                   SET (cursor_period, cursor_reservation, periods, jobs, charges,
                        recomputed) = (
                       SELECT min(period_id), min(reservation_id) + 1, 1, 2, count(*),
                              count(*) FROM charges
                        WHERE reservation_id <= (
                              SELECT min(reservation_id) + 1 FROM charges))
                 WHERE id = :id"""),
            {"id": run_id},
        )
    runners.run_waiting(deps, Event())
    resumed = reconciliations.show(deps, run_id, limit=10).run
    assert resumed.state == "done"
    for name in _COUNTS:
        assert getattr(resumed, name) == getattr(whole, name), name


def test_the_dispatcher_starts_it_nightly_and_it_ends_by_itself(deps, caplog):
    _export(deps, "c1/p1")
    _execute(deps, "UPDATE licenses SET created_at = created_at - interval '2 days'")
    process = ReconcileProcess(deps, look_every_s=0)

    def is_done() -> bool:
        process.turn()
        with deps.database.transaction() as connection:
            verdict = runs.last_verdict(connection)
        return verdict is not None and verdict.run.nightly

    until(is_done)

    def has_ended() -> bool:
        process.turn()
        return process._process is None

    until(has_ended)
    assert "ended with status" not in caplog.text
    with deps.database.transaction() as connection:
        assert not runs.nightly_is_due(connection, hour=deps.settings.reconcile_hour)
        assert not runs.is_waiting(connection)


def test_what_was_found_is_forgotten_in_time_and_its_counts_are_not(deps):
    _export(deps, "c1/p1")
    _execute(deps, "UPDATE jobs SET file_bytes = file_bytes + 1")
    before = _reconcile(deps)
    assert before.differences
    _execute(
        deps,
        "UPDATE reconciliations SET finished_at = finished_at - interval '91 days'",
    )
    _execute(deps, "UPDATE jobs SET file_bytes = file_bytes - 1")
    assert _reconcile(deps).differences == []
    after = reconciliations.show(deps, before.run.id, limit=10)
    assert after.differences == []
    assert after.run.differences == before.run.differences > 0


def test_of_very_many_differences_the_first_are_kept_and_all_are_counted(
    deps, monkeypatch
):
    monkeypatch.setattr(runs, "FINDINGS_MAX", 2)
    for place in range(3):
        _export(deps, f"c{place}/p1")
    _execute(deps, "UPDATE jobs SET user_id = 'nobody'")
    with deps.database.transaction() as connection:
        run_id = runs.put(connection, "open", None)
    monkeypatch.setattr(reconciler, "_STEP_CHARGES", 1)
    runners.run_waiting(deps, Event())
    shown = reconciliations.show(deps, run_id, limit=100)
    assert 2 <= len(shown.differences) < shown.run.differences
    _execute(deps, "UPDATE jobs SET user_id = 'user-1'")


def test_the_command_exits_1_on_any_difference(deps):
    _export(deps, "c1/p1")
    assert _command(deps, "--period", "open").returncode == 0
    _execute(deps, "UPDATE jobs SET file_bytes = file_bytes + 1")
    told = _command(deps, "--period", "open")
    assert told.returncode == 1
    assert "jobs.file_bytes" in told.stdout
    _execute(deps, "UPDATE jobs SET file_bytes = file_bytes - 1")


def test_the_command_refuses_what_names_no_period(deps):
    for words in ((), ("--period", "yesterday")):
        assert _command(deps, *words).returncode == 2


def _command(deps: Wired, *words: str) -> subprocess.CompletedProcess[str]:
    terminal = WarmTerminal(
        deps.settings.home,
        str(deps.settings.database_url),
        ARTIFACTS_URL=str(deps.settings.artifacts_url),
    )
    return terminal.run("reconcile", *words)
