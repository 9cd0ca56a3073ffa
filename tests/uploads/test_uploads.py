"""Uploads: the same records cost the same in any format; a refusal keeps nothing."""

import io
import json
import resource
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace

import pyarrow as pa  # type: ignore[import-untyped]
import pytest
from pyarrow import parquet
from sqlalchemy import text

from pricing.claims import KNOWN, lookup_digest
from pricing.findings import EmailLevel
from pricing.plans import Item
from storage.errors import DiskFull
from storage.quotes.quotes import Request, StoredQuote
from storage.uploads import uploads as stored_uploads
from storage.uploads.uploads import StoredUpload
from tests.support import job_runs
from tests.support.read_rows import rows_of
from worker.infrastructure.errors import BadInput, Code, Refused
from worker.quotes import quote_maker
from worker.quotes.kept_records import Kept, KeptRecords
from worker.quotes.priced_records import PricedRecord, parse
from worker.quotes.readers import inline_records
from worker.quotes.readers.formats import BY_CONTENT_TYPE, CSV
from worker.quotes.readers.reader import Reading
from worker.quotes.readers.records import Record
from worker.uploads import uploads
from worker.wiring import Wired

COLUMNS = ("company_id", "company_name", "person_id", "first_name")
ROWS = [
    ("c1", "Acme", "p1", "Ada"),
    ("c1", "Acme", "p2", "Ben"),
    ("c1", "Acme", "p1", "Ada again"),
    ("c2", "Brio", "", ""),
    ("c2", "Brio", "p2", "Ben"),
    ("c2", "Brio", "", ""),
]
RECORDS = [dict(zip(COLUMNS, row, strict=True)) for row in ROWS]
EXPORT = Request(
    kind="export",
    license_id="acme",
    user_id="user-1",
    retrieve=(Item.EMAIL, Item.PHONE),
    email_level=EmailLevel.VERIFIED,
    only_with=None,
    export={"format": "csv"},
)


def _parquet() -> bytes:
    out = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(RECORDS), out)
    return out.getvalue()


BODIES = {
    "text/csv": "\n".join(",".join(row) for row in [COLUMNS, *ROWS]).encode(),
    "application/x-ndjson": "\n".join(map(json.dumps, RECORDS)).encode(),
    "application/vnd.apache.parquet": _parquet(),
}


@pytest.fixture
def deps(database_url, tmp_path) -> Iterator[Wired]:
    """The use cases, with a license and a directory that knows one of two persons."""
    deps = job_runs.wire_to(database_url, tmp_path)
    with closing(deps.database):
        job_runs.create_license(deps)
        job_runs.know(deps, "p1")
        yield deps


def _csv(*rows: str) -> Reading:
    return CSV.read(io.BytesIO("\n".join(["company_id", *rows]).encode()))


def _kept(deps: Wired) -> tuple[int, list[str]]:
    """How many uploads there are, and which files, drafts included."""
    with deps.database.transaction() as connection:
        rows = connection.execute(text("SELECT count(*) FROM uploads")).scalar_one()
    files = deps.settings.home.rglob("*")
    return rows, [path.name for path in files if path.is_file()]


def _quoted(deps: Wired, reading: Reading | Kept) -> tuple[object, ...]:
    """All of a quote that does not depend on the moment."""
    stored: StoredQuote = quote_maker.quote(deps, EXPORT, reading)
    with deps.artifacts.open(stored.input.name or "") as stream:
        numbers = [number for line in stream for number in parse(line).numbers]
    quote = replace(stored.quote, quoted_at=stored.quote.quoted_at.min)
    return quote, stored.input.columns, numbers


def _priced(deps: Wired, reading: Reading | Kept) -> list[PricedRecord]:
    """The records of a quote's input."""
    name = quote_maker.quote(deps, EXPORT, reading).input.name
    with deps.artifacts.open(name or "") as stream:
        return [priced for line in stream for priced in parse(line).each()]


def _filled(fields: dict[str, str]) -> dict[str, str]:
    """What a record says: an empty field says as little as one that is not there."""
    return {name: value for name, value in fields.items() if value}


def test_the_same_records_are_quoted_the_same_in_any_format_uploaded_or_not(deps):
    expected = _quoted(deps, inline_records.read(RECORDS))
    assert expected[1:] == (COLUMNS, [1, 2, 4, 5])
    for content_type, body in BODIES.items():
        read = BY_CONTENT_TYPE[content_type].read
        assert _quoted(deps, read(io.BytesIO(body))) == expected, content_type
        stored = uploads.upload(deps, "acme", read(io.BytesIO(body)), skip_bad=False)
        assert _quoted(deps, uploads.reading_of(deps, stored)) == expected


@pytest.mark.parametrize("content_type", BODIES)
def test_an_upload_counts_without_duplicates(deps, content_type):
    reading = BY_CONTENT_TYPE[content_type].read(io.BytesIO(BODIES[content_type]))
    stored = uploads.upload(deps, "acme", reading, skip_bad=False)
    assert (stored.records, stored.companies, stored.persons) == (4, 2, 2)
    assert (stored.duplicates, stored.problems, stored.problems_total) == (2, (), 0)
    assert uploads.find(deps, "acme", stored.id) == stored
    (block,) = uploads.reading_of(deps, stored).blocks
    assert isinstance(block, KeptRecords)
    records, recurring = block
    assert recurring.persons == {"p1", "p2"}
    assert (records.numbers[0], records.company_ids[0]) == (1, "c1")
    assert records.digests[0] == lookup_digest("Ada", "", "")
    assert next(records.each()).fields == RECORDS[0]


def test_a_job_gets_the_same_records_and_claims_from_an_upload_as_from_its_file(deps):
    strange = ["tab\there", "line\nbreak", '"quoted"', "a\\b", "漢\u2028é\x85", ""]
    people = [
        {"company_id": "c1", "person_id": f"p{n}", "first_name": name, "note": name}
        for n, name in enumerate(strange, start=1)
    ]
    records = [*people, {"company_id": "c2"}, {"company_id": "é", "person_id": "漢"}]
    stored = uploads.upload(deps, "acme", inline_records.read(records), skip_bad=False)
    direct = _priced(deps, inline_records.read(records))
    assert _priced(deps, uploads.reading_of(deps, stored)) == direct
    assert [_filled(priced.record.fields) for priced in direct] == [
        _filled(given) for given in records
    ]
    # The directory knows p1; of all others each claim names whom it is for.
    assert [priced.claims[-1].digest for priced in direct] == [
        KNOWN,
        *(lookup_digest(name, "", "") for name in strange[1:]),
        KNOWN,
        lookup_digest("", "", ""),
    ]


def test_bad_lines_refuse_the_upload_with_the_first_hundred_and_keep_nothing(deps):
    before = _kept(deps)
    with pytest.raises(BadInput) as refused:
        uploads.upload(deps, "acme", _csv("a", *["\x01"] * 150), skip_bad=False)
    assert refused.value.total == 150
    assert len(refused.value.problems) == 100
    assert refused.value.problems[0].line == 3
    assert _kept(deps) == before


def test_bad_lines_can_be_left_out_and_are_told(deps):
    reading = _csv("a", *["\x01"] * 150, "b", "a")
    stored = uploads.upload(deps, "acme", reading, skip_bad=True)
    assert (stored.records, stored.duplicates, stored.problems_total) == (2, 1, 150)
    assert len(stored.problems) == 100
    assert stored.problems[0] == stored_uploads.Problem(
        3, "company_id", "contains a control character"
    )
    assert uploads.find(deps, "acme", stored.id) == stored
    rows = rows_of(uploads.reading_of(deps, stored))
    assert list(rows) == [
        Record(1, {"company_id": "a"}),
        Record(152, {"company_id": "b"}),
    ]


@pytest.mark.parametrize("rows", [[], ["\x01"]])
def test_an_upload_without_any_record_is_refused(deps, rows):
    before = _kept(deps)
    with pytest.raises(BadInput):
        uploads.upload(deps, "acme", _csv(*rows), skip_bad=True)
    assert _kept(deps) == before


def test_more_records_than_may_be_are_refused_before_they_are_read(deps):
    few = replace(deps, settings=deps.settings.model_copy(update={"records_max": 3}))
    assert uploads.upload(few, "acme", _csv("a", "b", "a"), skip_bad=False).records == 2
    before = _kept(deps)
    reading = _csv("a", "\x01", "a", *["d"] * 100_000)
    with pytest.raises(Refused) as refused:
        uploads.upload(few, "acme", reading, skip_bad=False)
    assert refused.value.code is Code.TOO_LARGE
    # No more was read than the block that was too much.
    assert sum(map(len, reading.blocks)) == 99_003
    assert _kept(deps) == before


def test_a_full_disk_keeps_nothing(deps):
    before = _kept(deps)
    with _little_room(1_000), pytest.raises(DiskFull):
        uploads.upload(
            deps, "acme", _csv(*(f"c{n}" for n in range(9_000))), skip_bad=False
        )
    assert _kept(deps) == before


@contextmanager
def _little_room(bytes_max: int) -> Iterator[None]:
    """A disk that takes no file larger than this."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_max, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_what_is_called_once_stands_or_falls_with_the_upload_and_the_quote(deps):
    made: list[str] = []

    def note(_, made_id: str) -> None:
        made.append(made_id)

    def refuse(_, made_id: str) -> None:
        raise Refused(Code.ALREADY_EXISTS, made_id)

    stored = uploads.upload(deps, "acme", _csv("a"), skip_bad=False, once=note)
    quote = quote_maker.quote(deps, EXPORT, uploads.reading_of(deps, stored), note)
    assert made == [stored.id, quote.id]
    with pytest.raises(Refused):
        uploads.upload(deps, "acme", _csv("b"), skip_bad=False, once=refuse)
    with pytest.raises(Refused):
        quote_maker.quote(deps, EXPORT, uploads.reading_of(deps, stored), refuse)
    with deps.database.transaction() as connection:
        for table in ("uploads", "quotes"):
            query = text(f"SELECT count(*) FROM {table}")
            assert connection.execute(query).scalar_one() == 1


def test_what_is_not_there_is_not_found(deps):
    job_runs.create_license(deps, "other")
    stored: StoredUpload = uploads.upload(deps, "acme", _csv("a"), skip_bad=False)
    asked = [("acme", "upload_none"), ("other", stored.id)]
    for license_id, upload_id in asked:
        with pytest.raises(Refused) as refused:
            uploads.find(deps, license_id, upload_id)
        assert refused.value.code is Code.NOT_FOUND
    with pytest.raises(Refused) as refused:
        uploads.upload(deps, "nobody", _csv("a"), skip_bad=False)
    assert refused.value.code is Code.NOT_FOUND


def test_an_upload_whose_file_was_removed_is_gone(deps):
    stored = uploads.upload(deps, "acme", _csv("a"), skip_bad=False)
    with deps.database.transaction() as connection:
        connection.execute(text("UPDATE uploads SET artifact = NULL"))
        assert stored_uploads.get(connection, stored.id) is None
    with pytest.raises(Refused):
        uploads.find(deps, "acme", stored.id)
