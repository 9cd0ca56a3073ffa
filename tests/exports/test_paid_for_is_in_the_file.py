"""What an export charges for is in its file, whatever the file looks like."""

import io
import json
import zipfile
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from pricing.findings import EmailLevel, OnlyWith
from pricing.plans import Item
from storage.jobs.job_reports import JobReport
from storage.quotes.quotes import Request, StoredQuote
from tests.exports.opened_files import WRITERS
from tests.support import job_runs
from worker.findings import directory_import
from worker.infrastructure.errors import BadInput
from worker.jobs import submission
from worker.quotes import quote_maker
from worker.quotes.readers import inline_records
from worker.spreadsheets.cell_texts import restored
from worker.wiring import Wired

STATUSES = ("valid", "probable", "accept_all", "unknown", "invalid", "objected")
FIELDS = ("company_id", "note", "input_email", "email_status", "email", "phone")
PERSONS = {
    f"p{number}": (STATUSES[number % 6], number % 3 != 1) for number in range(12)
}


@pytest.fixture
def deps(database_url, tmp_path) -> Iterator[Wired]:
    wired = job_runs.wire_to(database_url, tmp_path, chunk_records=50, batch_records=5)
    with closing(wired.database):
        job_runs.create_license(wired, credits_granted=100_000)
        _know(wired)
        yield wired


def _know(deps: Wired) -> None:
    lines = [
        json.dumps(
            {
                "person_id": person,
                "email": f"{person}@example.com",
                "email_status": status,
                "phone": f"+1 555 {person[1:]}" if has_phone else None,
            }
        ).encode()
        for person, (status, has_phone) in PERSONS.items()
    ]
    directory_import.load_directory(deps, lines)


RECORDS: list[dict[str, Any]] = [
    {
        "company_id": f"c{place % 4}",
        "person_id": person,
        "email": "own@example.com",
        # What no cell of Excel holds, and no other cell: rejected there.
        "note": "\ufffe" if place == 3 else f"note {person}",
    }
    for place, person in enumerate(PERSONS)
] + [{"company_id": "c9", "email": "", "note": ""}]


def _request(export: dict[str, Any], **asked: Any) -> Request:
    wanted: dict[str, Any] = {
        "retrieve": (Item.EMAIL, Item.PHONE),
        "email_level": EmailLevel.VERIFIED,
        "only_with": None,
    }
    return Request(
        kind="export",
        license_id="acme",
        user_id="user-1",
        export=export,
        **wanted | asked,
    )


def _quote(deps: Wired, request: Request) -> StoredQuote:
    return quote_maker.quote(deps, request, inline_records.read(RECORDS))


def _standing(deps: Wired, request: Request) -> StoredQuote:
    """A quote of before, when nobody looked whether what is retrieved has a column."""
    whole = dict(request.export or {}) | {"columns": None}
    stored = _quote(deps, Request(**_vars_of(request) | {"export": whole}))
    with deps.database.transaction() as connection:
        connection.execute(
            text("UPDATE quotes SET export = CAST(:export AS jsonb) WHERE id = :id"),
            {"id": stored.id, "export": json.dumps(request.export)},
        )
    return stored


def _vars_of(request: Request) -> dict[str, Any]:
    return {name: getattr(request, name) for name in request.__slots__}


def _run(deps: Wired, stored: StoredQuote) -> JobReport:
    return job_runs.run(deps, submission.submit(deps, stored.id))


def _cells(deps: Wired, report: JobReport, name: str) -> set[str]:
    """All values in a job's file, without what keeps a spreadsheet from them."""
    assert report.file_artifact is not None
    with deps.artifacts.open(report.file_artifact) as stream:
        data = stream.read()
    files = [data]
    if report.file_artifact.endswith(".zip"):
        archive = zipfile.ZipFile(io.BytesIO(data))
        files = [archive.read(member) for member in archive.namelist()]
    tables = [WRITERS[name][1](file) for file in files]
    cells = {cell for _, rows in tables for row in rows for cell in row}
    return {restored(cell) for cell in cells} if " " in name else cells


def _found_lines(deps: Wired, job_id: str) -> set[str]:
    """What a job has a line for, as it would stand in a file."""
    with deps.database.transaction() as connection:
        lines = connection.execute(
            text("""
                SELECT item, subject FROM charges
                 WHERE job_id = :job_id AND item <> 'company'"""),
            {"job_id": job_id},
        )
        return {
            f"{subject}@example.com" if item == "email" else f"+1 555 {subject[1:]}"
            for item, subject in lines
        }


looks = st.fixed_dictionaries(
    {
        "columns": st.none()
        | st.lists(st.sampled_from(FIELDS), min_size=1, unique=True).map(
            lambda fields: [{"field": field} for field in fields]
        ),
        "split_records": st.sampled_from([None, 100]),
        "contacts_per_company": st.sampled_from([None, 0, 1, 2]),
    }
)
asked = st.fixed_dictionaries(
    {
        "email_level": st.sampled_from(EmailLevel),
        "only_with": st.sampled_from([None, *OnlyWith]),
    }
)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(sorted(WRITERS)), look=looks, wanted=asked)
def test_every_line_for_a_finding_has_its_value_in_the_file_and_no_other_is_there(
    deps, name, look, wanted
):
    format_, _, profile = name.partition(" ")
    export = {"format": format_, "profile": profile or None, **look}
    fields = {column["field"] for column in look["columns"] or ()} or set(FIELDS)
    request = _request(export, **wanted)
    if {"email", "phone"} <= fields:
        stored = _quote(deps, request)
    else:
        with pytest.raises(BadInput, match="has no column for the"):
            _quote(deps, request)
        stored = _standing(deps, request)
    report = _run(deps, stored)
    lines = _found_lines(deps, report.id)
    told = {f"{person}@example.com" for person in PERSONS} | {
        f"+1 555 {person[1:]}" for person in PERSONS
    }
    assert _cells(deps, report, name) & told == lines
    assert report.emails_found + report.phones_found == len(lines)
    assert report.settled <= stored.quote.max_credits


@pytest.mark.parametrize(
    ("fields", "found", "settled"),
    [
        (["company_id"], (0, 0), 4),
        (["email_status"], (0, 0), 4),
        (["email"], (2, 0), 4 + 2),
        (["phone", "note"], (0, 6), 4 + 2 * 6),
    ],
)
def test_a_quote_that_stands_settles_only_what_its_file_holds(
    deps, fields, found, settled
):
    columns = [{"field": field} for field in fields]
    export = {"format": "csv", "columns": columns, "contacts_per_company": 9}
    report = _run(deps, _standing(deps, _request(export)))
    assert (report.emails_found, report.phones_found) == found
    assert report.state == "succeeded"
    # Four companies with persons, and one alone.
    assert report.settled == settled + 1
    assert report.released == report.reserved - report.settled
