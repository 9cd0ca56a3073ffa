"""What is kept for a set time goes after it, and nothing that is still needed goes."""

import io
import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from storage.errors import ArtifactError
from storage.files import pending_removals, row_with_file
from storage.retention import expired_rows
from storage.uploads.uploads import StoredUpload
from storage.webhooks import events, webhooks
from tests.support import job_runs
from tests.support.business_time import shift_to
from worker.exports.file_names import parts_folder
from worker.infrastructure.errors import Code, Refused
from worker.jobs import job_control, job_retry, submission
from worker.jobs.chunk_runner import run_chunk
from worker.quotes import quote_maker
from worker.quotes.readers.formats import CSV
from worker.responses import job_responses
from worker.retention import pruner
from worker.retention import pruner as keep
from worker.uploads import uploads
from worker.wiring import Wired

_DAY_S = 24 * 3600.0


@pytest.fixture
def deps(database_url, tmp_path) -> Iterator[Wired]:
    deps = job_runs.wire_to(database_url, tmp_path)
    with closing(deps.database):
        job_runs.create_license(deps)
        job_runs.know(deps, "p1", "p2")
        yield deps


@pytest.fixture
def later(deps: Wired) -> Callable[[], Wired]:
    """Lets a hundred days pass, once it is asked for."""

    def hundred_days_later() -> Wired:
        shift_to(deps.database, 100 * _DAY_S)
        return deps

    return hundred_days_later


def _files(deps: Wired) -> list[str]:
    root = deps.settings.home / "files"
    return sorted(
        path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()
    )


def _age(deps: Wired, *names: str) -> None:
    """Let files have been written two days ago."""
    for name in names:
        ago = time.time() - 2 * _DAY_S
        os.utime(deps.settings.home / "files" / name, (ago, ago))


def _walk(deps: Wired) -> None:
    """Turn until the store has been walked through."""
    keeper = pruner.Pruner(deps)
    keeper.turn()
    keeper.turn()


def _count(deps: Wired, query: str) -> int:
    with deps.database.transaction() as connection:
        found: int = connection.execute(text(query)).scalar_one()
    return found


def _upload(deps: Wired) -> StoredUpload:
    csv = b"company_id,person_id\nc1,p1\nc2,p2\n"
    reading = CSV.read(io.BytesIO(csv))
    return uploads.upload(deps, "acme", reading, skip_bad=False)


def _submit(deps: Wired, *contacts: str) -> str:
    return submission.submit(deps, job_runs.quote(deps, contacts).id)


def _export(deps: Wired, *contacts: str) -> str:
    """A job that has ended."""
    job_id = _submit(deps, *contacts)
    assert job_runs.run(deps, job_id).state == "succeeded"
    return job_id


# -- Refused: gone at once ----------------------------------------------------


class _Refusal(Exception):
    pass


def _refuse(connection: Connection, made: str) -> None:
    raise _Refusal(made)


def test_the_file_of_a_refused_upload_is_gone_at_once(deps):
    reading = CSV.read(io.BytesIO(b"company_id\nc1\n"))
    with pytest.raises(_Refusal):
        uploads.upload(deps, "acme", reading, skip_bad=False, once=_refuse)
    assert _files(deps) == []


def test_the_file_of_a_refused_quote_is_gone_at_once(deps):
    stored = job_runs.quote(deps, ["c1"])
    before = _files(deps)
    reading = CSV.read(io.BytesIO(b"company_id\nc1\n"))
    with pytest.raises(_Refusal):
        quote_maker.quote(deps, stored.request, reading, _refuse)
    assert _files(deps) == before


def test_a_file_stays_where_the_commit_itself_fails(deps):
    """Then nobody knows whether the row is there."""
    with deps.artifacts.create("uploads/u.jsonl") as draft:
        draft.write(b"x")
    with (
        pytest.raises(Exception, match="terminating connection"),
        row_with_file.kept_with_its_file(
            deps.database, deps.artifacts, "uploads/u.jsonl"
        ) as connection,
    ):
        _end_at_commit(connection)
    assert _files(deps) == ["uploads/u.jsonl"]


def _end_at_commit(connection: Connection) -> None:
    """Let the server end this connection while it commits."""
    connection.execute(
        text("""
            CREATE FUNCTION leave() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL;
            END $$"""),
    )
    connection.execute(
        text("""
            CREATE CONSTRAINT TRIGGER leaving AFTER INSERT ON removals
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION leave()"""),
    )
    pending_removals.mark(connection, ["x"])


# -- Too old: gone in time ----------------------------------------------------


def test_nothing_goes_before_its_time(deps):
    _upload(deps)
    job_id = _export(deps, "c1/p1")
    job_runs.quote(deps, ["c2/p2"])
    before = _files(deps)
    _walk(deps)
    assert _files(deps) == before
    assert job_runs.report(deps, job_id).file_artifact is not None


def test_an_upload_goes_after_its_time_and_says_so(deps, later):
    stored = _upload(deps)
    _walk(later())
    assert _files(deps) == []
    with pytest.raises(Refused, match="has been removed by now") as refused:
        uploads.find(deps, "acme", stored.id)
    assert refused.value.code is Code.NOT_FOUND
    with pytest.raises(Refused, match="there is no upload"):
        uploads.find(deps, "another", stored.id)


def test_the_records_of_a_quote_that_made_no_job_go_after_its_time(deps, later):
    job_runs.quote(deps, ["c1/p1"])
    _walk(later())
    assert _files(deps) == []


def test_a_jobs_records_parts_and_file_go_after_their_times(deps, later):
    job_id = _export(deps, "c1/p1", "c2/p2")
    right = job_responses.of_job(job_runs.report(deps, job_id))
    _walk(later())
    assert _files(deps) == []
    report = job_runs.report(deps, job_id)
    assert (report.delivered, report.file_name) == (2, f"{job_id}.csv")
    assert job_responses.of_job(report) == right | {"file": None}


def test_each_thing_has_a_time_of_its_own(deps, later):
    job_id = _export(deps, "c1/p1")
    _upload(deps)
    job_runs.quote(deps, ["c2/p2"])
    kept = later().settings.model_copy(
        update={"file_kept_s": 200 * _DAY_S, "upload_kept_s": 200 * _DAY_S}
    )
    _walk(replace(later(), settings=kept))
    (export, manifest, upload) = _files(deps)
    assert (export, upload[:8]) == (f"jobs/{job_id}/{job_id}.csv", "uploads/")
    assert manifest == f"jobs/{job_id}/manifest.json"


def test_a_job_under_way_keeps_all_it_needs_however_long_it_takes(deps, later):
    job_id = _submit(deps, "c1/p1", "c2/p2", "c3/p3")
    with deps.database.transaction() as connection:
        first = connection.execute(text("SELECT min(id) FROM chunks")).scalar_one()
    run_chunk(deps, first)
    job_control.pause(deps, job_id)
    before = _files(deps)
    assert len(before) == 3
    _age(deps, *before)
    _walk(later())
    assert _files(deps) == before
    job_control.resume(deps, job_id)
    report = job_runs.run(deps, job_id)
    assert (report.state, report.delivered) == ("succeeded", 3)


def test_a_job_cannot_be_retried_once_its_records_are_gone(deps, later):
    job_id = _submit(deps, "c1/p1")
    job_control.cancel(deps, job_id)
    job_runs.complete(deps)
    _walk(later())
    with pytest.raises(Refused, match="have been removed: send them again") as refused:
        job_retry.retry(deps, job_id)
    assert refused.value.code is Code.WRONG_STATE


def test_the_words_on_a_rejected_record_go_with_the_records(deps, later):
    job_id = _export(deps, "c1/p1")
    with deps.database.transaction() as connection:
        connection.execute(text("UPDATE outcome_batches SET messages = ARRAY['of p1']"))
    _walk(deps)
    assert _count(deps, "SELECT count(message) FROM outcomes") == 1
    _walk(later())
    assert _count(deps, "SELECT count(message) FROM outcomes") == 0
    assert job_runs.report(deps, job_id).delivered == 1


def test_events_go_once_nothing_waits_for_them(deps, later):
    _export(deps, "c1/p1")
    with deps.database.transaction() as connection:
        webhooks.create(
            connection,
            "wh_1",
            "acme",
            url="https://example.com/",
            events=[events.EventType.JOB_FINISHED.value],
            secret="sealed",
        )
        events.put(
            connection, "acme", events.EventType.JOB_FINISHED, "job-0", {"job": "job-0"}
        )
        webhooks.delete(connection, "wh_1")
    _walk(later())
    assert _count(deps, "SELECT count(*) FROM events") == 1
    job_runs.complete(deps)
    _walk(later())
    assert _count(deps, "SELECT count(*) FROM events") == 0


def test_that_credits_are_low_is_not_said_twice_in_a_long_period(deps, later):
    with deps.database.transaction() as connection:
        assert events.credits_low(connection, "acme", share=1.5)
    job_runs.complete(deps)
    _walk(later())
    with later().database.transaction() as connection:
        assert not events.credits_low(connection, "acme", share=1.5)


def test_entries_and_messages_go_after_their_times(deps):
    _export(deps, "c1/p1")
    waiting = "SELECT count(*) FROM outbox WHERE state <> 'done'"
    with deps.database.transaction() as connection:
        connection.execute(
            text("""
                UPDATE outbox SET done_at = clock_timestamp() - interval '8 days'
                 WHERE topic = 'job.complete'"""),
        )
        connection.execute(
            text("""
                INSERT INTO outbox (topic, key, created_at)
                VALUES ('old', '1', clock_timestamp() - interval '2 years')"""),
        )
        connection.execute(
            text("""
                INSERT INTO outbox (topic, key, state, done_at)
                VALUES ('new', '1', 'done', clock_timestamp())"""),
        )
        connection.execute(
            text("""
                INSERT INTO notifications (license_id, user_id, code, message,
                                           created_at)
                VALUES ('acme', 'u', 'c', 'm', clock_timestamp() - interval '2 years'),
                       ('acme', 'u', 'c', 'm', clock_timestamp())"""),
        )
    _walk(deps)
    assert _count(deps, waiting) == 1
    assert _count(deps, "SELECT count(*) FROM outbox WHERE topic = 'job.complete'") == 0
    assert _count(deps, "SELECT count(*) FROM outbox WHERE state = 'done'") == 1
    assert _count(deps, "SELECT count(*) FROM notifications") == 1


# -- Crashes, and what they leave ---------------------------------------------


def test_a_crash_between_row_and_file_leaves_a_mark_that_the_next_turn_follows(
    deps, later
):
    _upload(deps)
    with later().database.transaction() as connection:
        assert expired_rows.let_uploads_go(connection, after_s=1, limit=9) == 1
    assert len(_files(deps)) == 1
    pruner.Pruner(deps).turn()
    assert _files(deps) == []
    assert _count(deps, "SELECT count(*) FROM removals") == 0


def test_a_file_that_cannot_be_removed_is_tried_again(deps):
    with deps.artifacts.create("uploads/a.jsonl") as draft:
        draft.write(b"x")
    with deps.database.transaction() as connection:
        pending_removals.mark(connection, ["no name of ours", "uploads/a.jsonl"])
    assert keep.remove_marked(deps) == 1
    assert _files(deps) == []
    assert _count(deps, "SELECT count(*) FROM removals") == 1


def test_what_no_row_names_goes_once_it_is_old(deps):
    stored = _upload(deps)
    job_id = _export(deps, "c1/p1", "c2/p2")
    under_way = _submit(deps, "c1/p1")
    lost = [
        "uploads/lost.jsonl",
        "inputs/lost.jsonl",
        f"{parts_folder(job_id)}lost.csv",
        "jobs/nobody/lost.csv",
    ]
    young = ["uploads/young.jsonl", f"{parts_folder(under_way)}late.csv"]
    needed = _files(deps)
    for name in [*lost, *young]:
        with deps.artifacts.create(name) as draft:
            draft.write(b"x")
    draft_of_a_killed = "inputs/.lost.jsonl.0a1b2c3d"
    (deps.settings.home / "files" / draft_of_a_killed).touch()
    _age(deps, *needed, *lost, draft_of_a_killed, young[1])
    _walk(deps)
    assert _files(deps) == sorted([*needed, *young])
    assert stored.artifact in needed


def test_a_part_that_was_sealed_stays_for_its_time(deps):
    job_id = _export(deps, "c1/p1")
    parts = [name for name in _files(deps) if name.startswith(parts_folder(job_id))]
    assert parts
    _age(deps, *parts)
    _walk(deps)
    assert set(parts) <= set(_files(deps))


def test_a_turn_takes_a_few_names_and_goes_on_where_it_stood(deps, monkeypatch):
    monkeypatch.setattr(keep, "_NAMES_MAX", 2)
    lost = [f"uploads/lost-{number}.jsonl" for number in range(5)]
    for name in lost:
        with deps.artifacts.create(name) as draft:
            draft.write(b"x")
    _age(deps, *lost)
    keeper = pruner.Pruner(deps)
    keeper.turn()
    left = []
    for _ in range(3):
        keeper.turn()
        left.append(len(_files(deps)))
    assert left == [3, 1, 0]


def test_a_step_that_fails_stops_none_of_the_others(deps, later, caplog):
    """Of a store that does not answer, the database's part is done all the same."""
    _upload(deps)
    folder = deps.settings.home / "files" / "uploads"
    (name,) = [path.name for path in Path(folder).iterdir()]
    (folder / name).unlink()
    (folder / name).mkdir()
    (folder / name / "in the way").touch()
    _walk(later())
    assert "is not removed yet" in caplog.text
    assert _count(deps, "SELECT count(artifact) FROM uploads") == 0
    with pytest.raises(ArtifactError):
        deps.artifacts.remove(f"uploads/{name}")
