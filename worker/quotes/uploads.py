"""Taking in files of records: checked, without duplicates, kept until they are quoted.

What a quote asks of records is worked out once, when they come in; a record's number is
its place in the input, so that what is said of it later is said of that place. Uploads
are kept by columns, as `kept_records` has them.
"""

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager

from pricing.claims import KNOWN
from storage.files import row_with_file
from storage.licenses import licenses
from storage.licenses.idempotency_keys import Once
from storage.quotes import uploads
from storage.quotes.uploads import StoredUpload
from worker.infrastructure.dependencies import Deps
from worker.infrastructure.errors import Code, Refused, bad
from worker.infrastructure.ids import new_id
from worker.quotes import kept_records
from worker.quotes.intake import Intake, taken_in
from worker.quotes.kept_records import Kept, KeptRecords
from worker.quotes.readers.reader import Reading
from worker.quotes.readers.record_columns import Row, blocks_of, records_of
from worker.quotes.readers.records import Change, encode, record_of

_BY_COLUMNS = ".blocks"
"""How the names of uploads end; those of before, by rows, end otherwise."""


def upload(
    deps: Deps,
    license_id: str,
    reading: Reading,
    *,
    skip_bad: bool,
    once: Once | None = None,
) -> StoredUpload:
    """Keep the records of a reading; `skip_bad` leaves out those that are none.

    `once` is called in the transaction that keeps it, with the upload's id. Raises
    `BadInput` with the first problems, `Refused` without a license or above the
    records and bytes that may be, and `DiskFull`; then nothing is kept.
    """
    _check_license(deps, license_id)
    upload_id = new_id("upload")
    name = f"uploads/{upload_id}{_BY_COLUMNS}"
    with _taken_in(deps, reading, skip_bad=skip_bad) as intake:
        problems = intake.problems
        if not skip_bad or not intake.records:
            problems.raise_if_any()
        if not intake.records:
            raise bad(None, "there are no records")
        with deps.artifacts.create(name) as draft:
            for line in intake.lines():
                draft.write(line)
    stored = StoredUpload(
        id=upload_id,
        license_id=license_id,
        artifact=name,
        columns=tuple(reading.columns),
        records=intake.records,
        companies=intake.companies,
        persons=intake.persons,
        duplicates=intake.duplicates,
        problems=tuple(uploads.Problem(*problem) for problem in problems.first),
        problems_total=problems.total,
        trimmed=intake.trimmed,
    )
    with row_with_file.kept_with_its_file(
        deps.database, deps.artifacts, name
    ) as connection:
        uploads.put(connection, stored)
        if once is not None:
            once(connection, stored.id)
    return stored


def _taken_in(
    deps: Deps, reading: Reading, *, skip_bad: bool
) -> AbstractContextManager[Intake]:
    return taken_in(
        reading.blocks,
        deps.settings.records_max,
        skip_bad=skip_bad,
        bytes_max=deps.settings.upload_decoded_bytes_max,
        noticed=reading.noticed,
    )


def find(deps: Deps, license_id: str, upload_id: str) -> StoredUpload:
    """A license's upload. Raises `Refused` where it has none of this id any more."""
    with deps.database.transaction() as connection:
        stored = uploads.get(connection, upload_id)
        removed = uploads.was_removed(connection, license_id, upload_id)
    if removed:
        detail = f"upload {upload_id} has been removed by now: upload it again"
        raise Refused(Code.NOT_FOUND, detail)
    if stored is None or stored.license_id != license_id:
        raise Refused(Code.NOT_FOUND, f"there is no upload {upload_id}")
    return stored


def reading_of(deps: Deps, stored: StoredUpload) -> Kept | Reading:
    """An upload's records, to be quoted; they were checked when they came in.

    Those of before may have white space around their ids: then two that were told
    apart may be one.
    """
    if stored.artifact.endswith(_BY_COLUMNS):
        blocks = map(kept_records.from_line, _lines(deps, stored.artifact))
        return Kept(stored.columns, blocks, stored.duplicates, stored.trimmed or 0)
    rows = map(_row_of, _lines(deps, stored.artifact))
    return Reading(
        stored.columns,
        blocks_of(rows),
        duplicates=stored.duplicates,
        trimmed=stored.trimmed or 0,
    )


def _lines(deps: Deps, name: str) -> Iterator[bytes]:
    with deps.artifacts.open(name) as stream:
        yield from stream


def rewritten(line: bytes, change: Change) -> bytes:
    """A line with its fields changed, and with them what was made of the names."""
    if not line.startswith(b"{"):
        return _rewritten_of_before(line, change)
    kept = kept_records.from_line(line)
    records = list(kept.records.each())
    fresh = [record._replace(fields=change(record.fields)) for record in records]
    if fresh == records:
        return line
    return kept_records.to_line(KeptRecords(records_of(fresh), kept.recurring))


# Uploads of before have a line a record, cut by tabs: its number, the company's id, the
# person's, the digest of what the person is looked up by, and the fields as JSON.


def _row_of(line: bytes) -> tuple[int, Row]:
    number, _, _, _, encoded = line[:-1].decode().split("\t")
    return int(number), record_of(int(number), int(number), json.loads(encoded))


def _rewritten_of_before(line: bytes, change: Change) -> bytes:
    number, company_id, person_id, _, encoded = line[:-1].decode().split("\t")
    fields = json.loads(encoded)
    fresh = change(fields)
    if fresh == fields:
        return line
    # What is read of it is what its fields say.
    label = f"{number}\t{company_id}\t{person_id}\t{KNOWN}"
    return b"%b\t%b\n" % (label.encode(), encode(fresh))


def _check_license(deps: Deps, license_id: str) -> None:
    with deps.database.transaction() as connection:
        if licenses.get(connection, license_id) is None:
            raise Refused(Code.NOT_FOUND, f"there is no license {license_id}")
