"""What was exported can be handed in again, says the same, and costs nothing again."""

import io
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from pricing.findings import EmailLevel
from pricing.plans import Item
from storage.quotes.quotes import Request
from storage.uploads.uploads import StoredUpload
from tests.support import job_runs
from tests.support.read_rows import rows_of
from worker.jobs import submission
from worker.quotes import quote_maker
from worker.quotes.kept_records import Kept
from worker.quotes.readers import inline_records
from worker.quotes.readers.formats import BY_SUFFIX
from worker.quotes.readers.reader import Reading
from worker.quotes.readers.records import Record
from worker.uploads import uploads
from worker.wiring import Wired

_IDS = ("@acme", "0012", "1E5", "12345678901234567890", "=c", "'t", "'=1", "#5", "a;b")
_NOTES = (
    *("=1+1", "'=1+1", "''+x", '="0475"', "\u200b=1", "+32 475", "0.10", "NA", "null"),
    *("#", '"', "a\nb", "a\r\nb", " x ", "'s", "-5", "a,b;c", "TRUE", "1-2", "Zoë"),
)
RECORDS = [
    {
        "company_id": f"{_IDS[number % len(_IDS)]}{number}",
        "company_name": f"'{number}",
        "person_id": f"0{number}" if number % 3 else "",
        "email": "own@example.com",
        "phone": "0475123456",
        "note": note,
    }
    for number, note in enumerate(_NOTES)
]
FIELDS = (
    *("company_id", "company_name", "person_id"),
    *("input_email", "input_phone", "note"),
)

EXPORTS: dict[str, dict[str, Any]] = {
    "csv": {"format": "csv"},
    "excel": {"format": "csv", "profile": "excel"},
    "excel with notes as texts": {
        "format": "csv",
        "profile": "excel",
        "text_columns": ["note", "company_name"],
    },
    "excel_eu": {"format": "csv", "profile": "excel_eu"},
    "xlsx": {"format": "xlsx"},
    "jsonl": {"format": "jsonl"},
    "jsonl with nulls": {"format": "jsonl", "nulls": "null"},
    "parquet": {"format": "parquet"},
    "parquet with nulls": {"format": "parquet", "nulls": "null"},
}


def _reading(format_name: str, data: bytes) -> Reading:
    """A file's records, as a client hands it in."""
    return BY_SUFFIX[f".{format_name}"].read(io.BytesIO(data))


@pytest.fixture(scope="module")
def deps(shared_database, tmp_path_factory) -> Iterator[Wired]:
    url = shared_database.url.render_as_string(hide_password=False)
    home = tmp_path_factory.mktemp("home")
    wired = job_runs.wire_to(url, home, chunk_records=100, batch_records=100)
    with closing(wired.database):
        job_runs.know(wired, *(f"0{number}" for number in range(1, len(RECORDS), 2)))
        yield wired


def _request(license_id: str, export: dict[str, Any]) -> Request:
    return Request(
        kind="export",
        license_id=license_id,
        user_id="user-1",
        retrieve=(Item.EMAIL, Item.PHONE),
        email_level=EmailLevel.VERIFIED,
        only_with=None,
        export=export,
    )


def _exported(
    deps: Wired, license_id: str, export: dict[str, Any], reading: Reading | Kept
) -> tuple[int, bytes]:
    """What an export has cost, and its file."""
    stored = quote_maker.quote(deps, _request(license_id, export), reading)
    report = job_runs.run(deps, submission.submit(deps, stored.id))
    assert (report.state, report.delivered) == ("succeeded", len(RECORDS))
    assert report.file_artifact is not None
    with deps.artifacts.open(report.file_artifact) as stream:
        return report.settled, stream.read()


@pytest.mark.parametrize("name", EXPORTS)
def test_an_exported_file_says_the_same_when_it_comes_in_and_costs_nothing(deps, name):
    license_id, export = name.replace(" ", "-"), EXPORTS[name]
    job_runs.create_license(deps, license_id)
    read = inline_records.read(RECORDS)
    cost, data = _exported(deps, license_id, export, read)
    assert cost > len(RECORDS)
    upload = uploads.upload(
        deps, license_id, _reading(export["format"], data), skip_bad=False
    )
    assert (upload.records, upload.duplicates) == (len(RECORDS), 0)
    found = _records(deps, upload)
    assert [{field: row.text(field) for field in FIELDS} for row in found] == [
        _handed_in(record, export["format"]) for record in RECORDS
    ]
    addresses = [row.text("email") for row in found]
    assert addresses == [
        f"{record['person_id']}@example.com" if _is_known(record) else ""
        for record in RECORDS
    ]
    kept = uploads.reading_of(deps, upload)
    again, _ = _exported(deps, license_id, export, kept)
    assert again == 0


def _records(deps: Wired, upload: StoredUpload) -> list[Record]:
    rows = list(rows_of(uploads.reading_of(deps, upload)))
    return [row for row in rows if isinstance(row, Record)]


def _handed_in(record: dict[str, str], format_name: str) -> dict[str, str]:
    """A record's fields under the names that its file has for them."""
    own = {"input_email": record["email"], "input_phone": record["phone"]}
    note = record["note"]
    if format_name == "xlsx":
        note = note.replace("\r\n", "\n")
    return {field: own.get(field) or record[field] for field in FIELDS} | {"note": note}


def _is_known(record: dict[str, str]) -> bool:
    """Whether the directory has an address of the person."""
    return bool(record["person_id"]) and int(record["person_id"]) % 2 == 1
