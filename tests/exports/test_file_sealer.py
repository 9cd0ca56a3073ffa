"""The file of a job: whole, in order, of what was charged, in every format."""

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from pricing.findings import EmailLevel, OnlyWith
from pricing.plans import Item
from storage.errors import Superseded
from storage.jobs import jobs
from storage.jobs.job_reports import JobReport
from storage.jobs.jobs import manifest_name
from storage.quotes import quotes
from tests.exports.opened_files import WRITERS
from tests.support import job_runs
from worker.exports import file_sealer
from worker.exports.file_sealer import seal
from worker.infrastructure.errors import BadInput
from worker.infrastructure.task_results import Later, Never
from worker.jobs import submission
from worker.jobs.chunk_runner import run_chunk
from worker.jobs.outbox_runner import run_entry
from worker.quotes import quote_maker
from worker.quotes.readers import inline_records
from worker.wiring import Wired

RECORDS = [
    {
        "company_id": f"company-{number}",
        "person_id": f"person-{number}",
        "phone": f"00{number}",
        "note": note,
    }
    for number, note in enumerate(
        ["=1+1", "Zoë\u2028\x85", "a\nb", "", "+32 2", " x", "7"]
    )
]
NAMES = ["company_id", "person_id", "input_phone", "note", "phone"]
ROWS = [[*record.values(), f"+1 555 {number}"] for number, record in enumerate(RECORDS)]

EXPORTS: dict[str, dict[str, Any]] = {
    "csv": {"format": "csv"},
    "csv excel": {"format": "csv", "profile": "excel"},
    "csv excel_eu": {"format": "csv", "profile": "excel_eu"},
    "xlsx": {"format": "xlsx"},
    "jsonl": {"format": "jsonl"},
    "parquet": {"format": "parquet"},
}
each_export = pytest.mark.parametrize("name", EXPORTS)
each_shape = pytest.mark.parametrize(
    ("name", "split"),
    [
        ("csv", None),
        ("xlsx", None),
        ("jsonl", None),
        ("parquet", None),
        ("csv", 2),
        ("xlsx", 2),
    ],
)


@pytest.fixture
def deps(database_url: str, tmp_path: Path) -> Iterator[Wired]:
    deps = job_runs.wire_to(database_url, tmp_path)
    with closing(deps.database):
        job_runs.create_license(deps)
        job_runs.know(deps, *(record["person_id"] for record in RECORDS))
        yield deps


def _request(export: dict[str, Any], **changed: Any) -> quotes.Request:
    wanted = {
        "kind": "export",
        "license_id": "acme",
        "user_id": "user-1",
        "retrieve": (Item.PHONE,),
        "email_level": EmailLevel.VERIFIED,
        "only_with": None,
        "export": export,
    }
    return quotes.Request(**wanted | changed)


def _submit(
    deps: Wired, export: dict[str, Any], records: list[Any] = RECORDS, **changed: Any
) -> str:
    request = _request(export, **changed)
    return submission.submit(
        deps, quote_maker.quote(deps, request, inline_records.read(records)).id
    )


def _data(deps: Wired, report: JobReport) -> bytes:
    assert report.file_artifact is not None
    with deps.artifacts.open(report.file_artifact) as stream:
        data = stream.read()
    assert len(data) == report.file_bytes
    assert hashlib.sha256(data).hexdigest() == report.file_sha256
    return data


def _manifest(deps: Wired, job_id: str) -> dict[str, Any]:
    with deps.artifacts.open(manifest_name(job_id)) as stream:
        manifest: dict[str, Any] = json.load(stream)
    return manifest


def _entry(deps: Wired) -> int:
    with deps.database.transaction() as connection:
        found: int = connection.execute(
            text("SELECT id FROM outbox WHERE topic = 'job.complete'")
        ).scalar_one()
    return found


def _shown(name: str, rows: list[list[str]]) -> list[list[str]]:
    """Rows as the profile shows them: ids, phones, and one that begins as a formula."""
    if " " not in name:
        return rows
    return [
        [
            f'="{cell}"' if heading != "note" else {"=1+1": "'=1+1"}.get(cell, cell)
            for heading, cell in zip(NAMES, row, strict=True)
        ]
        for row in rows
    ]


@each_export
def test_a_job_leaves_its_records_in_their_order(deps, name):
    report = job_runs.run(deps, _submit(deps, EXPORTS[name]))
    assert (report.state, report.delivered) == ("succeeded", len(RECORDS))
    assert report.settled == 3 * len(RECORDS)
    format_, read = WRITERS[name]
    assert report.file_name == f"{report.id}.{format_.extension}"
    assert read(_data(deps, report)) == (NAMES, _shown(name, ROWS))


@each_export
def test_the_same_again_is_the_same_bytes_however_the_work_was_cut(
    deps, name, database_url, tmp_path
):
    export = EXPORTS[name] | {"split_records": 3}
    first = job_runs.run(deps, _submit(deps, export))
    other = job_runs.wire_to(database_url, tmp_path, chunk_records=5, batch_records=3)
    with closing(other.database):
        second = job_runs.run(other, _submit(other, export))
    assert second.file_sha256 == first.file_sha256


def test_a_split_export_is_a_zip_whose_files_the_manifest_names(deps):
    report = job_runs.run(deps, _submit(deps, {"format": "csv", "split_records": 3}))
    assert report.file_name == f"{report.id}.zip"
    manifest = _manifest(deps, report.id)
    _, read = WRITERS["csv"]
    with zipfile.ZipFile(io.BytesIO(_data(deps, report))) as archive:
        tables = [read(archive.read(name)) for name in archive.namelist()]
        assert manifest["files"] == [
            {
                "name": name,
                "records": records,
                "bytes": len(archive.read(name)),
                "sha256": hashlib.sha256(archive.read(name)).hexdigest(),
            }
            for name, records in zip(archive.namelist(), [3, 3, 1], strict=True)
        ]
    assert [names for names, _ in tables] == [NAMES] * 3
    assert [row for _, rows in tables for row in rows] == ROWS


def test_columns_come_as_they_were_chosen(deps):
    columns = [
        {"field": "phone", "heading": "Téléphone"},
        {"field": "company_id", "heading": None},
    ]
    report = job_runs.run(deps, _submit(deps, {"format": "xlsx", "columns": columns}))
    _, read = WRITERS["xlsx"]
    headings, rows = read(_data(deps, report))
    assert headings == ["Téléphone", "company_id"]
    assert rows == [[row[-1], row[0]] for row in ROWS]


def test_a_field_that_is_not_there_is_refused_and_no_quote_is_kept(deps):
    export = {"format": "csv", "columns": [{"field": "email"}]}
    with pytest.raises(BadInput, match="'email' is none of company_id, person_id"):
        _submit(deps, export)
    with deps.database.transaction() as connection:
        assert connection.execute(text("SELECT count(*) FROM quotes")).scalar() == 0
    files = Path(deps.artifacts.locate("inputs"))
    assert not [path for path in files.rglob("*") if path.is_file()]


def _long(place: int) -> list[dict[str, str]]:
    """The records, one of them with a note that no cell of Excel holds."""
    return [
        record | ({"note": "x" * 32_768} if number == place else {})
        for number, record in enumerate(RECORDS)
    ]


@pytest.mark.parametrize("place", [0, 3, 6])
def test_a_record_that_a_format_cannot_hold_is_rejected_alone_and_costs_nothing(
    deps, place
):
    job_id = _submit(deps, {"format": "xlsx"}, _long(place))
    report = job_runs.run(deps, job_id)
    others = len(RECORDS) - 1
    assert (report.state, report.delivered, report.rejected) == ("partial", others, 1)
    assert (report.settled, report.reserved) == (3 * others, 3 * len(RECORDS))
    assert report.phones_found == others
    with deps.database.transaction() as connection:
        rejected = connection.execute(
            text("""
                SELECT record, code, field, message FROM outcomes
                 WHERE outcome = 'rejected'""")
        ).one()
    assert tuple(rejected) == (
        place + 1,
        "value_not_representable",
        "note",
        "is 32,768 characters long; a cell of xlsx holds 32,767",
    )
    _, read = WRITERS["xlsx"]
    _, rows = read(_data(deps, report))
    assert rows == [row for number, row in enumerate(ROWS) if number != place]


@pytest.mark.parametrize("name", ["csv", "csv excel", "jsonl", "parquet"])
def test_the_same_record_is_delivered_in_a_format_that_can_hold_it(deps, name):
    report = job_runs.run(deps, _submit(deps, EXPORTS[name], _long(3)))
    assert report.state == "succeeded"
    _, read = WRITERS[name]
    assert read(_data(deps, report))[1][3][3] == "x" * 32_768


@each_export
def test_a_job_that_delivers_nothing_leaves_a_file_of_headings(deps, name):
    job_id = _submit(
        deps,
        EXPORTS[name],
        [record | {"person_id": "unknown"} for record in RECORDS[:1]],
        retrieve=(Item.EMAIL,),
        only_with=OnlyWith.EMAIL,
    )
    report = job_runs.run(deps, job_id)
    assert (report.state, report.excluded, report.settled) == ("succeeded", 1, 0)
    _, read = WRITERS[name]
    headings, rows = read(_data(deps, report))
    assert rows == []
    assert name == "jsonl" or headings[-2:] == ["email", "email_status"]


def test_the_manifest_says_what_is_in_the_file_and_what_it_cost(deps):
    columns = [
        {"field": "note", "heading": "Note"},
        {"field": "phone", "heading": "phone"},
    ]
    job_id = _submit(deps, {"format": "csv", "columns": columns, "profile": "excel"})
    report = job_runs.run(deps, job_id)
    manifest = _manifest(deps, job_id)
    assert manifest.pop("created_at").endswith("Z")
    assert manifest == {
        "job": job_id,
        "name": None,
        "license": "acme",
        "user": "user-1",
        "records": {
            "all": 7,
            "delivered": 7,
            "excluded": 0,
            "rejected": 0,
            "unreached": 0,
        },
        "found": {"email": 0, "phone": 7},
        "credits": {"reserved": 21, "settled": 21, "released": 0},
        "filters": {
            "retrieve": ["phone"],
            "email_level": "verified",
            "only_with": None,
            "contacts_per_company": None,
            "skip_exported": False,
        },
        "format": "csv",
        "profile": "excel",
        "columns": columns,
        "file": {
            "name": f"{job_id}.csv",
            "records": 7,
            "bytes": report.file_bytes,
            "sha256": report.file_sha256,
            "media_type": "text/csv; charset=utf-8; header=present",
        },
        "files": [],
    }


def _finishing(deps: Wired, job_id: str) -> jobs.Finishing:
    with deps.database.transaction() as connection:
        job = jobs.finishing(connection, job_id)
    assert job is not None
    return job


@each_export
def test_sealing_again_writes_the_same_file_and_the_same_manifest(deps, name):
    job_id = _submit(deps, EXPORTS[name])
    job_runs.run_chunks(deps, job_id)
    job, written = _finishing(deps, job_id), []
    for _ in range(2):
        file = seal(deps, job, lambda: None)
        written.append((file, _manifest(deps, job_id)))
    assert written[0] == written[1]
    assert job_runs.run(deps, job_id).file_sha256 == written[0][0].written.sha256


@each_shape
def test_the_lease_is_kept_while_bytes_move_and_before_they_cannot(
    deps, name, split, database_url, tmp_path
):
    job_id = _submit(deps, EXPORTS[name] | {"split_records": split})
    job_runs.run_chunks(deps, job_id)
    impatient = job_runs.wire_to(database_url, tmp_path, lease_s=1e-9)
    renewed = []
    with closing(impatient.database):
        seal(impatient, _finishing(deps, job_id), lambda: renewed.append(1))
    # Each part, the end of the parts, and whatever reached the file.
    assert len(renewed) > len(RECORDS) + 1


@each_export
def test_a_lease_that_was_taken_a_moment_ago_is_not_renewed(deps, name):
    job_id = _submit(deps, EXPORTS[name])
    job_runs.run_chunks(deps, job_id)
    renewed: list[int] = []
    seal(deps, _finishing(deps, job_id), lambda: renewed.append(1))
    assert renewed == []


class _Stopped:
    """As if this much of a lease had passed since it was taken or renewed."""

    share = 0.0

    @property
    def elapsed_s(self) -> float:
        return self.share * _LEASE_S


_LEASE_S = 90.0


@pytest.mark.parametrize(("share", "renewed"), [(0.09, 0), (0.2, 1), (0.4, 2)])
def test_nothing_that_takes_long_begins_on_a_lease_that_is_not_nearly_new(
    share, renewed, monkeypatch
):
    monkeypatch.setattr(file_sealer, "Stopwatch", _Stopped)
    monkeypatch.setattr(_Stopped, "share", share)
    calls: list[int] = []
    lease = file_sealer._Lease(_LEASE_S, lambda: calls.append(1))
    lease.keep()
    lease.keep(for_long=True)
    assert len(calls) == renewed


@each_export
def test_whoever_lost_the_lease_stops_and_leaves_no_file(
    deps, name, database_url, tmp_path
):
    job_id = _submit(deps, EXPORTS[name])
    job_runs.run_chunks(deps, job_id)
    impatient = job_runs.wire_to(database_url, tmp_path, lease_s=1e-9)

    def lost() -> None:
        raise Superseded("somebody else's")

    with closing(impatient.database), pytest.raises(Superseded):
        seal(impatient, _finishing(deps, job_id), lost)
    folder = Path(deps.artifacts.locate(f"jobs/{job_id}"))
    assert [path.name for path in folder.iterdir()] == ["parts"]


@each_shape
def test_a_disk_that_fills_up_in_the_middle_of_sealing_costs_nothing(deps, name, split):
    # Long enough that no format makes a small file of it.
    records = [
        record | {"note": hashlib.shake_256(bytes([n])).hexdigest(4_000)}
        for n, record in enumerate(RECORDS)
    ]
    job_id = _submit(deps, EXPORTS[name] | {"split_records": split}, records)
    job_runs.run_chunks(deps, job_id)
    before = job_runs.report(deps, job_id)
    with job_runs.little_room(20_000):
        assert isinstance(run_entry(deps, _entry(deps)), Later)
    report = job_runs.report(deps, job_id)
    assert (report.state, report.waiting_reason) == ("finishing", "storage")
    assert (report.settled, report.file_name) == (before.settled, None)
    folder = Path(deps.artifacts.locate(f"jobs/{job_id}"))
    assert [path.name for path in folder.iterdir()] == ["parts"]
    report = job_runs.run(deps, job_id)
    assert (report.state, report.waiting_reason) == ("succeeded", None)
    assert report.settled == before.settled == 3 * len(RECORDS)
    assert run_entry(deps, _entry(deps)) == Never("not to be taken")


def test_a_disk_that_fills_up_in_the_middle_of_a_chunk_loses_and_doubles_nothing(deps):
    large = RECORDS[1] | {"note": "x" * 20_000}
    job_id = _submit(deps, {"format": "csv"}, [RECORDS[0], large])
    with deps.database.transaction() as connection:
        chunk_id = connection.execute(text("SELECT id FROM chunks")).scalar_one()
    with job_runs.little_room(10_000):
        assert isinstance(run_chunk(deps, chunk_id), Later)
    report = job_runs.report(deps, job_id)
    assert (report.delivered, report.settled) == (1, 3)
    assert (report.state, report.waiting_reason) == ("running", "storage")
    report = job_runs.run(deps, job_id)
    assert (report.state, report.delivered, report.settled) == ("succeeded", 2, 6)
    _, read = WRITERS["csv"]
    assert len(read(_data(deps, report))[1]) == 2
