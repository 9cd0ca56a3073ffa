"""Nothing is left of an erased person but ids, and nothing brings the person back."""

import csv
import io
import json
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import replace

import pytest
from sqlalchemy import Connection, text

from pricing.claims import lookup_digest
from pricing.findings import EmailLevel, EmailStatus
from pricing.plans import Item
from storage.files import pending_removals
from storage.findings import directory
from storage.findings.directory import Entry
from storage.jobs import jobs
from storage.jobs.jobs import Finished
from storage.ledger import release
from storage.quotes.quotes import Request, StoredQuote
from storage.retention import erased_persons, expired_rows
from storage.state_machine import JobState
from tests.support import job_runs
from tests.support.fleet import until
from worker.findings import directory_import
from worker.findings.providers.directory import Directory, Known
from worker.infrastructure.errors import Code, Refused
from worker.jobs import job_control, job_retry, submission
from worker.jobs.chunk_runner import run_chunk
from worker.quotes import quote_maker
from worker.quotes.kept_records import KeptRecords
from worker.quotes.readers.formats import CSV
from worker.quotes.readers.reader import Reading
from worker.retention import person_erasure
from worker.retention.person_erasure import Erased
from worker.retention.pruner import Pruner
from worker.uploads import uploads
from worker.wiring import Wired

_COLUMNS = ["company_id", "company_domain", "person_id", "first_name", "note"]
_ADA = ["c1", "lovelace.example", "ada", "Augusta-Ada", 'met "Byron"']
_BEN = ["c1", "acme.example", "ben", "Benjamin", "likes ada"]
_CAY = ["c2", "brio.example", "cay", "Cayetana", ""]
_ROWS = [_ADA, _BEN, _CAY]
_OF_ADA = (
    "Augusta-Ada",
    "lovelace.example",
    "Byron",
    "ada@home.example",
    "+1 555 0100",
)
_OF_BEN = ("Benjamin", "likes ada", "ben@home.example")


@pytest.fixture
def deps(database_url, tmp_path) -> Iterator[Wired]:
    deps = job_runs.wire_to(database_url, tmp_path)
    with closing(deps.database):
        for license_id in ("acme", "brio"):
            job_runs.create_license(deps, license_id)
        _know(deps)
        yield deps


def _know(deps: Wired) -> int:
    phones = {"ada": "+1 555 0100", "ben": "+1 555 0200", "cay": "+1 555 0300"}
    lines = [
        json.dumps(
            {
                "person_id": person,
                "email": f"{person}@home.example",
                "email_status": "valid",
                "phone": phone,
            }
        ).encode()
        for person, phone in phones.items()
    ]
    return directory_import.load_directory(deps, lines).persons


def _reading(rows: list[list[str]] = _ROWS) -> Reading:
    data = io.StringIO()
    csv.writer(data).writerows([_COLUMNS, *rows])
    return CSV.read(io.BytesIO(data.getvalue().encode()))


def _quote(deps: Wired, license_id: str = "acme") -> StoredQuote:
    request = Request(
        kind="export",
        license_id=license_id,
        user_id="user-1",
        retrieve=(Item.EMAIL, Item.PHONE),
        email_level=EmailLevel.VERIFIED,
        only_with=None,
        export={"format": "csv"},
    )
    return quote_maker.quote(deps, request, _reading())


def _submit(deps: Wired, license_id: str = "acme") -> str:
    return submission.submit(deps, _quote(deps, license_id).id)


def _export(deps: Wired, license_id: str = "acme") -> str:
    job_id = _submit(deps, license_id)
    assert job_runs.run(deps, job_id).state == "succeeded"
    return job_id


def _file(deps: Wired, job_id: str) -> list[dict[str, str]]:
    name = job_runs.report(deps, job_id).file_artifact
    assert name is not None
    with deps.artifacts.open(name) as stream:
        return list(csv.DictReader(io.StringIO(stream.read().decode(), newline="")))


def _run_first_chunk(deps: Wired, job_id: str) -> None:
    with deps.database.transaction() as connection:
        first = connection.execute(
            text("SELECT min(id) FROM chunks WHERE job_id = :id"), {"id": job_id}
        ).scalar_one()
    run_chunk(deps, first)


def _everything(deps: Wired) -> str:
    """All rows of all tables as they are printed, and all files."""
    with deps.database.transaction() as connection:
        tables = connection.execute(
            text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        ).scalars()
        rows = [
            row
            for table in list(tables)
            for row in connection.execute(
                text(f'SELECT "{table}"::text FROM "{table}"')
            ).scalars()
        ]
    root = deps.settings.home / "files"
    files = [path.read_text() for path in root.rglob("*") if path.is_file()]
    names = [str(path) for path in root.rglob("*")]
    return "\n".join([*rows, *files, *names])


def _left(deps: Wired, words: tuple[str, ...]) -> list[str]:
    everything = _everything(deps)
    return [
        word
        for word in words
        if word in everything or json.dumps(word)[1:-1] in everything
    ]


def test_of_a_person_in_everything_only_ids_are_left(deps):
    uploads.upload(deps, "acme", _reading(), skip_bad=False)
    _quote(deps)
    job_id = _export(deps)
    with deps.database.transaction() as connection:
        connection.execute(
            text("""
                UPDATE outcome_batches SET messages = ARRAY['no Augusta-Ada']
                 WHERE records = ARRAY[1]""")
        )
    settled = job_runs.report(deps, job_id).settled
    assert _left(deps, _OF_ADA) == list(_OF_ADA)
    erased = person_erasure.erase(deps, "ada")
    assert erased == Erased(
        directory=1,
        findings=0,
        raw_files=0,
        uploads=1,
        inputs=2,
        rejections=1,
        reasons=0,
        files=1,
        jobs_under_way=(),
    )
    assert _left(deps, _OF_ADA) == []
    assert _left(deps, ("ada", *_OF_BEN)) == ["ada", *_OF_BEN]
    report = job_runs.report(deps, job_id)
    assert (report.file_artifact, report.settled) == (None, settled)
    assert not (deps.settings.home / "files" / "jobs").exists()


def test_an_upload_keeps_no_digest_of_an_erased_persons_names(deps):
    stored = uploads.upload(deps, "acme", _reading(), skip_bad=False)
    before = list(uploads.reading_of(deps, stored).blocks)
    person_erasure.erase(deps, "ada")
    after = uploads.reading_of(deps, uploads.find(deps, "acme", stored.id)).blocks
    for was, now in zip(before, after, strict=True):
        assert isinstance(was, KeptRecords)
        assert isinstance(now, KeptRecords)
        for person_id, digest, fresh in zip(
            now.records.person_ids,
            was.records.digests,
            now.records.digests,
            strict=True,
        ):
            if person_id == "ada":
                assert digest != fresh == lookup_digest("", "", "")
            else:
                assert digest == fresh


def test_the_same_again_removes_nothing_more(deps):
    _export(deps)
    person_erasure.erase(deps, "ada")
    _export(deps)
    assert person_erasure.erase(deps, "ada") == Erased(
        directory=0,
        findings=0,
        raw_files=0,
        uploads=0,
        inputs=1,
        rejections=0,
        reasons=0,
        files=0,
        jobs_under_way=(),
    )
    before = _everything(deps)
    assert person_erasure.erase(deps, "ada").inputs == 0
    assert _everything(deps) == before


def test_a_file_made_after_the_erasure_holds_the_ids_alone(deps):
    person_erasure.erase(deps, "ada")
    job_id = _export(deps)
    ada, ben, _ = _file(deps, job_id)
    assert ada == dict.fromkeys([*_COLUMNS, "email", "email_status", "phone"], "") | {
        "company_id": "c1",
        "person_id": "ada",
    }
    assert (ben["first_name"], ben["email"]) == ("Benjamin", "ben@home.example")
    # Ben and Cay, with an e-mail and a phone each, and both companies.
    assert job_runs.report(deps, job_id).settled == 2 + 2 * 3


def test_loading_the_directory_does_not_bring_a_person_back(deps):
    person_erasure.erase(deps, "ada")
    assert _know(deps) == 2
    assert _left(deps, ("ada@home.example",)) == []


def test_who_is_erased_while_the_directory_is_loaded_does_not_come_back(deps):
    entry = Entry("dan", "dan@home.example", EmailStatus.VALID, None)
    with ThreadPoolExecutor() as threads:
        with deps.database.transaction() as connection:
            directory.load(connection, [entry])
            erased = threads.submit(person_erasure.erase, deps, "dan")
            until(lambda: _waiting(connection))
        assert erased.result().directory == 1
    assert _left(deps, ("dan@home.example",)) == []


def _waiting(connection: Connection) -> bool:
    """Whether somebody waits for a lock."""
    waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    return bool(connection.execute(waiting).scalar_one())


def test_a_job_under_way_goes_on_without_the_person_and_exactly(deps):
    job_id = _submit(deps)
    person_erasure.erase(deps, "ada")
    assert _left(deps, _OF_ADA) == []
    report = job_runs.run(deps, job_id)
    assert (report.state, report.delivered, report.settled) == ("succeeded", 3, 8)
    assert _left(deps, _OF_ADA) == []
    assert [row["person_id"] for row in _file(deps, job_id)] == ["ada", "ben", "cay"]


def test_a_job_that_delivered_the_person_leaves_no_file_and_costs_nothing(deps):
    job_id = _submit(deps)
    _run_first_chunk(deps, job_id)
    erased = person_erasure.erase(deps, "ada")
    assert erased.jobs_under_way == (job_id,)
    report = job_runs.run(deps, job_id)
    assert (report.state, report.error_code) == ("failed", "given_up")
    assert (report.delivered, report.settled, report.refunded) == (3, 11, 11)
    assert report.file_artifact is None
    person_erasure.erase(deps, "ada")
    assert _left(deps, _OF_ADA) == []
    # What has reached nobody is delivered, and paid for, by the retry.
    again = job_runs.run(deps, job_retry.retry(deps, job_id))
    assert (again.state, again.delivered, again.settled) == ("succeeded", 3, 8)
    assert [row["person_id"] for row in _file(deps, again.id)] == ["ada", "ben", "cay"]


def test_who_is_erased_while_the_file_is_sealed_leaves_no_job_that_is_paid_for(deps):
    job_id = _submit(deps)
    job_runs.run_chunks(deps, job_id)
    export = deps.kinds["export"]

    class ErasedMeanwhile(type(export)):  # type: ignore[misc]
        def seal(self, deps, job, renew):
            sealed = super().seal(deps, job, renew)
            person_erasure.erase(deps, "ada")
            return sealed

    kinds = {**deps.kinds, "export": ErasedMeanwhile()}
    job_runs.complete_once(replace(deps, kinds=kinds))
    with deps.database.transaction() as connection:
        connection.execute(text("UPDATE outbox SET run_at = clock_timestamp()"))
    job_runs.complete(deps)
    report = job_runs.report(deps, job_id)
    assert (report.state, report.settled, report.refunded) == ("failed", 11, 11)
    assert report.file_artifact is None


def test_a_worker_that_found_the_person_before_is_fenced_off(deps):
    """It read the former records, and comes to its checkpoint after the erasure."""
    job_id = _submit(deps)

    def look_up(persons: Collection[str]) -> Mapping[str, Known]:
        with deps.database.transaction() as connection:
            found = directory.look_up(connection, persons)
        person_erasure.erase(deps, "ada")
        return found

    _run_first_chunk(replace(deps, directory=Directory(look_up)), job_id)
    assert job_runs.report(deps, job_id).delivered == 0
    report = job_runs.run(deps, job_id)
    assert (report.delivered, report.settled) == (3, 8)
    assert _file(deps, job_id)[0]["email"] == ""


def test_a_file_that_was_being_sealed_is_let_go(deps):
    job_id = _submit(deps)
    job_runs.run_chunks(deps, job_id)
    finished = _sealed(deps, job_id)
    person_erasure.erase(deps, "ada")
    with deps.database.transaction() as connection:
        release.close(connection, job_id)
        assert not jobs.end(connection, job_id, finished)
    assert job_runs.report(deps, job_id).file_artifact is None
    Pruner(deps).turn()
    assert _left(deps, _OF_ADA) == []


def _sealed(deps: Wired, job_id: str) -> Finished:
    """What completion ends a job with, and the file that it has just sealed."""
    name = f"jobs/{job_id}/{job_id}.csv"
    with deps.artifacts.create(name) as draft:
        draft.write(b"Augusta-Ada")
    return Finished(
        state=JobState.SUCCEEDED,
        file_name=f"{job_id}.csv",
        file_artifact=name,
        file_bytes=draft.bytes,
        file_sha256=draft.sha256,
    )


def test_a_retry_is_made_of_the_ids_alone(deps):
    job_id = _submit(deps)
    job_control.cancel(deps, job_id)
    job_runs.complete(deps)
    person_erasure.erase(deps, "ada")
    again = job_retry.retry(deps, job_id)
    assert job_runs.run(deps, again).delivered == 3
    assert _left(deps, _OF_ADA) == []


@pytest.mark.parametrize("step", ["_rewrite", "_without", "_remove_now"])
def test_after_a_crash_the_same_again_ends_it(deps, monkeypatch, step):
    class _Crash(BaseException):
        pass

    def crash(*_: object) -> None:
        raise _Crash

    uploads.upload(deps, "acme", _reading(), skip_bad=False)
    _export(deps)
    with monkeypatch.context() as patch, suppress(_Crash):
        patch.setattr(person_erasure, step, crash)
        person_erasure.erase(deps, "ada")
    assert _left(deps, _OF_ADA) != []
    person_erasure.erase(deps, "ada")
    assert _left(deps, _OF_ADA) == []


def test_for_one_license_nothing_of_another_goes(deps):
    acme, brio = _export(deps), _export(deps, "brio")
    erased = person_erasure.erase(deps, "ada", "acme")
    assert (erased.directory, erased.inputs, erased.files) == (0, 1, 1)
    assert job_runs.report(deps, acme).file_artifact is None
    assert _file(deps, brio)[0]["email"] == "ada@home.example"
    assert _file(deps, _export(deps))[0]["email"] == ""
    assert _file(deps, _export(deps, "brio"))[0]["email"] == "ada@home.example"


def test_an_unknown_license_is_refused_and_nobody_is_erased(deps):
    with pytest.raises(Refused) as refused:
        person_erasure.erase(deps, "ada", "nobody")
    assert refused.value.code is Code.NOT_FOUND
    with deps.database.transaction() as connection:
        assert erased_persons.among(connection, "acme", ["ada"]) == set()


def test_records_that_went_meanwhile_are_not_brought_back(deps):
    stored = uploads.upload(deps, "acme", _reading(), skip_bad=False)
    kept = erased_persons.Kept(stored.id, stored.artifact or "")
    with deps.database.transaction() as connection:
        connection.execute(
            text("UPDATE uploads SET created_at = created_at - interval '1 year'")
        )
        expired_rows.let_uploads_go(connection, after_s=1, limit=9)
        assert not erased_persons.replace_upload(
            connection, kept, "uploads/fresh.jsonl"
        )
        marked = pending_removals.marked(connection, limit=9)
    assert set(marked) == {stored.artifact, "uploads/fresh.jsonl"}
