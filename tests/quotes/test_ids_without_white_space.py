"""Surrounding white space is no part of an id, at whichever door it comes in."""

import io
import json
from collections.abc import Iterator
from contextlib import closing

import pyarrow as pa  # type: ignore[import-untyped]
import pytest
from pyarrow import parquet
from sqlalchemy import text

from pricing.findings import EmailLevel
from pricing.plans import Item, Plan
from storage.findings import directory, findings
from storage.findings.findings import Memory
from storage.jobs import outcomes
from storage.quotes.quotes import Request, StoredQuote
from tests.support import job_runs
from tests.support.read_rows import rows_of
from tests.support.stored_jobs import take_outcomes_apart
from worker.findings.directory_import import load_directory
from worker.infrastructure.errors import BadInput
from worker.jobs import job_control, job_retry, submission
from worker.jobs.chunk_runner import run_chunk
from worker.ledger import company_views
from worker.quotes import quote_maker
from worker.quotes.readers import inline_records
from worker.quotes.readers.formats import BY_CONTENT_TYPE
from worker.quotes.readers.reader import Reading
from worker.retention import person_erasure
from worker.uploads import uploads
from worker.wiring import Wired

SPACES = [chr(code) for code in range(0x110000) if chr(code).isspace()]
ROWS = [
    {"company_id": " c1\u3000", "person_id": "p1"},
    {"company_id": "c1", "person_id": "\tp1"},
    {"company_id": "c1\u00a0", "person_id": ""},
    {"company_id": "c 2", "person_id": "p 2"},
]
WHITE = [{"company_id": "c1", "person_id": "p1"}, {"company_id": " \u2003", "note": ""}]
WHITE_PERSON = [{"company_id": "c1", "person_id": "\u00a0"}]


@pytest.fixture
def deps(database_url, tmp_path) -> Iterator[Wired]:
    wired = job_runs.wire_to(database_url, tmp_path)
    with closing(wired.database):
        job_runs.create_license(wired)
        job_runs.know(wired, "p1", "p2")
        yield wired


def _csv(rows: list[dict[str, str]]) -> bytes:
    lines = [",".join(rows[-1]), *(",".join(row.values()) for row in rows)]
    return "\n".join(lines).encode()


def _jsonl(rows: list[dict[str, str]]) -> bytes:
    return "\n".join(json.dumps(row) for row in rows).encode()


def _parquet(rows: list[dict[str, str]]) -> bytes:
    out = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(rows), out)
    return out.getvalue()


WAYS = {
    "text/csv": _csv,
    "application/x-ndjson": _jsonl,
    "application/vnd.apache.parquet": _parquet,
}
each_way = pytest.mark.parametrize("way", [*WAYS, "nested"])


def _reading(way: str, rows: list[dict[str, str]]) -> Reading:
    if way in WAYS:
        return BY_CONTENT_TYPE[way].read(io.BytesIO(WAYS[way](rows)))
    nested = [
        {
            "company": {"id": row["company_id"]},
            "person": {"id": row["person_id"]} if row.get("person_id") else None,
        }
        for row in rows
    ]
    return inline_records.read(nested)


def _request(**export: object) -> Request:
    return Request(
        kind="export",
        license_id="acme",
        user_id="user-1",
        retrieve=(Item.EMAIL,),
        email_level=EmailLevel.VERIFIED,
        only_with=None,
        export=dict(export),
    )


def _quote(deps: Wired, rows: list[dict[str, str]], **export: object) -> StoredQuote:
    return quote_maker.quote(deps, _request(**export), inline_records.read(rows))


@each_way
def test_every_reader_leaves_it_out_counts_it_and_finds_duplicates_after_it(deps, way):
    stored = quote_maker.quote(deps, _request(), _reading(way, ROWS))
    assert (stored.quote.records, stored.quote.duplicates) == (3, 1)
    assert (stored.quote.trimmed, stored.quote.companies) == (3, 2)
    kept = uploads.upload(deps, "acme", _reading(way, ROWS), skip_bad=False)
    assert (kept.records, kept.duplicates, kept.trimmed) == (3, 1, 3)
    again = quote_maker.quote(deps, _request(), uploads.reading_of(deps, kept))
    assert again.quote.max_credits == stored.quote.max_credits
    assert (again.quote.duplicates, again.quote.trimmed) == (1, 3)


@each_way
def test_an_id_of_white_space_alone_is_refused_as_empty(deps, way):
    with pytest.raises(BadInput, match="company_id: is empty"):
        quote_maker.quote(deps, _request(), _reading(way, WHITE[1:]))
    with pytest.raises(BadInput, match="person_id: is white space alone"):
        uploads.upload(deps, "acme", _reading(way, WHITE_PERSON), skip_bad=False)


@pytest.mark.parametrize("space", SPACES, ids=ascii)
def test_whatever_unicode_calls_white_space_goes_at_both_ends(space):
    rows = [{"company_id": f"{space}c{space}1{space * 2}"}]
    (row,) = rows_of(inline_records.read(rows))
    if space.isprintable() or space > "\x9f":
        assert row[1] == {"company_id": f"c{space}1"}
    else:
        # Within an id it is a control character.
        assert isinstance(row, list)


def test_the_database_trims_as_python_does(database):
    ids = [f"{space}{middle}{space}" for space in SPACES for middle in ("", "a b")]
    ids += [
        "a",
        "\u200ba\u200b",
        "\ufeffa",
        "\u180ea",
        "\x01a",
        "a\x1b",
        "é ",
        "\U0001d4b3\u2009",
    ]
    with database.transaction() as connection:
        rows = connection.execute(
            text(
                "SELECT id, holdfast_trimmed(id) "
                "FROM unnest(CAST(:ids AS text[])) AS id"
            ),
            {"ids": ids},
        ).all()
    assert len(rows) == len(ids)
    assert [trimmed for _, trimmed in rows] == [id_.strip() for id_, _ in rows]


def test_a_view_is_of_the_company_without_it(deps):
    job_runs.create_license(deps, "three", plan=Plan.V3)
    costs = [
        company_views.view(deps, "three", "u", company).credits
        for company in ("c1 ", "\u2009c1", "c1")
    ]
    assert costs == [1, 0, 0]
    with pytest.raises(BadInput, match="company_id: is empty"):
        company_views.view(deps, "three", "u", "   ")


def test_the_directory_is_loaded_without_it_and_replaces_what_is_there_with_it(deps):
    with deps.database.transaction() as connection:
        connection.execute(
            text("""
                INSERT INTO directory (person_id, email_status)
                VALUES ('q1 ', 'valid'), ('q2 ', 'objected')""")
        )
    lines = [
        b'{"person_id": " q1", "email": "a@example.com", "email_status": "valid"}',
        b'{"person_id": "q1\\u00a0", "email": "b@example.com"}',
    ]
    assert load_directory(deps, lines) == (1, 2)
    with deps.database.transaction() as connection:
        assert directory.look_up(connection, ["q1", "q1 "]).keys() == {"q1"}
        assert findings.objected(connection, ["q1", "q2"]) == {"q2"}
    with pytest.raises(BadInput, match="person_id: is empty"):
        load_directory(deps, [b'{"person_id": "  "}'])


def _store_with_space(deps: Wired) -> None:
    """What jobs of before have left: ids with white space around them."""
    with deps.database.transaction() as connection:
        take_outcomes_apart(connection)
        connection.execute(
            text("""
                UPDATE record_outcomes SET company_id = company_id || ' ',
                       person_id = chr(8195) || person_id""")
        )
        # The ledger's rows name the subjects as the outcomes do.
        connection.execute(
            text("""
                ALTER TABLE charges DISABLE TRIGGER charges_append_only;
                UPDATE charges SET subject = CASE item WHEN 'company'
                       THEN subject || ' ' ELSE chr(8195) || subject END;
                ALTER TABLE charges ENABLE TRIGGER charges_append_only""")
        )


def _delivered(deps: Wired) -> str:
    stored = _quote(
        deps, [{"company_id": "c1", "person_id": "p1"}, {"company_id": "c3"}]
    )
    job_id = submission.submit(deps, stored.id)
    assert job_runs.run(deps, job_id).delivered == 2
    return job_id


def test_what_was_delivered_with_it_is_skipped(deps):
    _delivered(deps)
    _store_with_space(deps)
    rows = [
        {"company_id": "c1", "person_id": "p1"},
        {"company_id": "c1", "person_id": "p2"},
        {"company_id": "c1"},
        {"company_id": "c3"},
        {"company_id": "c4"},
    ]
    assert _quote(deps, rows, skip_exported=True).quote.excluded == 3


def test_an_erasure_finds_what_is_stored_with_it_and_holds_for_it(deps):
    job_id = _delivered(deps)
    _store_with_space(deps)
    with deps.database.transaction() as connection:
        findings.keep(connection, [Memory("p1\u3000", "", Item.EMAIL, "hunter", None)])
        connection.execute(
            text("""
                INSERT INTO directory (person_id, email_status)
                VALUES (' p1', 'valid')""")
        )
    erased = person_erasure.erase(deps, " p1\u00a0")
    assert (erased.directory, erased.findings, erased.files) == (2, 1, 1)
    assert job_runs.report(deps, job_id).file_artifact is None
    with deps.database.transaction() as connection:
        stored = connection.execute(text("SELECT person_id FROM erasures"))
        assert list(stored.scalars()) == ["p1"]
    load_directory(deps, [b'{"person_id": "p1 "}'])
    with deps.database.transaction() as connection:
        assert directory.known(connection, ["p1", "p1 "]) == set()


def test_an_erasure_rewrites_records_of_before(deps):
    row = {"company_id": "c1", "person_id": "p1", "first_name": "Ada"}
    stored = _quote(deps, [row])
    assert stored.input.name is not None
    with (
        deps.artifacts.open(stored.input.name) as old,
        deps.artifacts.create("inputs/before.jsonl") as new,
    ):
        new.write(old.read().replace(b'"p1"', b'"p1 "'))
    with deps.database.transaction() as connection:
        connection.execute(text("UPDATE quotes SET input = 'inputs/before.jsonl'"))
    assert person_erasure.erase(deps, "p1").inputs == 1
    with deps.database.transaction() as connection:
        name = connection.execute(text("SELECT input FROM quotes")).scalar_one()
    with deps.artifacts.open(name) as stream:
        data = stream.read()
    assert b"Ada" not in data
    assert b'"p1 "' in data


def test_who_was_erased_with_it_is_erased(deps):
    with deps.database.transaction() as connection:
        connection.execute(
            text("INSERT INTO erasures (person_id, license_id) VALUES ('p1 ', '')")
        )
    stored = _quote(deps, [{"company_id": "c1", "person_id": "p1"}])
    report = job_runs.run(deps, submission.submit(deps, stored.id))
    assert (report.delivered, report.emails_found) == (1, 0)


def test_an_upload_of_before_is_looked_at_when_it_is_quoted(deps):
    kept = uploads.upload(deps, "acme", inline_records.read(ROWS), skip_bad=False)
    name = "uploads/before.records"
    with deps.artifacts.create(name) as draft:
        for number, (company, person) in enumerate(
            [("c1", "p1"), ("c1 ", "p1"), ("c2", "")], start=1
        ):
            fields = json.dumps({"company_id": company, "person_id": person})
            draft.write(f"{number}\t{company}\t{person}\tdigest\t{fields}\n".encode())
    with deps.database.transaction() as connection:
        connection.execute(
            text("UPDATE uploads SET artifact = :name, trimmed = NULL"), {"name": name}
        )
    found = uploads.find(deps, "acme", kept.id)
    stored = quote_maker.quote(deps, _request(), uploads.reading_of(deps, found))
    assert (stored.quote.records, stored.quote.trimmed) == (2, 1)
    assert stored.quote.duplicates == kept.duplicates + 1


def test_a_retry_of_a_job_of_before_goes_on_without_it(deps):
    rows = [{"company_id": "c1", "person_id": f"p{n}"} for n in range(1, 5)]
    stored = _quote(deps, rows)
    job_id = submission.submit(deps, stored.id)
    fresh = "inputs/before.jsonl"
    assert stored.input.name is not None
    with (
        deps.artifacts.open(stored.input.name) as old,
        deps.artifacts.create(fresh) as new,
    ):
        data = old.read().replace(b'"c1"', b'"c1 "')
        new.write(data)
    with deps.database.transaction() as connection:
        connection.execute(text("UPDATE quotes SET input = :name"), {"name": fresh})
        # Each line is a byte longer.
        connection.execute(
            text("""
                UPDATE chunks SET first_byte = first_byte + first_line,
                       bytes = bytes + stop - first_line""")
        )
        first = connection.execute(text("SELECT min(id) FROM chunks")).scalar_one()
    run_chunk(deps, first)
    job_control.cancel(deps, job_id)
    job_runs.complete(deps)
    assert job_runs.report(deps, job_id).settled == 1 + 2
    again = job_runs.run(deps, job_retry.retry(deps, job_id))
    # The company was settled by the job, under its id of before.
    assert (again.delivered, again.settled) == (2, 0)
    with deps.database.transaction() as connection:
        ends = outcomes.of_job(connection, again.id, after=0, limit=9)
    assert {row.company_id for row in ends} == {"c1"}
