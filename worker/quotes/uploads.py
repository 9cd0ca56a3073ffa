"""Taking in files of records: checked, without duplicates, kept until they are quoted.

An upload is a file of one line a record, cut by tabs: its number, the company's id,
the person's (empty for the company alone), the digest of what the person is looked up
by, and the fields as JSON. So whatever a quote asks is worked out once, and quoting
passes the fields on unread. No id holds a tab, and JSON escapes them. The number is the
record's place in the input, so that what is said of it later is said of that place.
"""

import json
from collections.abc import Iterator
from itertools import islice

from storage.files import row_with_file
from storage.files.artifacts import Draft
from storage.licenses import licenses
from storage.licenses.idempotency_keys import Once
from storage.quotes import uploads
from storage.quotes.uploads import StoredUpload
from worker.infrastructure.dependencies import Deps
from worker.infrastructure.errors import Code, Refused, bad
from worker.infrastructure.ids import new_id
from worker.quotes.duplicates import Distinct, Seen
from worker.quotes.problems import Problems, limited
from worker.quotes.readers.reader import Reading
from worker.quotes.readers.records import (
    Change,
    Kept,
    KeptRecord,
    Record,
    record_of,
)

_BATCH_RECORDS = 1_000
_READ_BYTES = 1 << 18
_NO_CHARACTER_OF_IDS = "\0"


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
    records that may be, and `DiskFull`; then nothing is kept.
    """
    _check_license(deps, license_id)
    upload_id = new_id("upload")
    name = f"uploads/{upload_id}.records"
    problems, intake = Problems(), _Intake()
    rows = limited(reading.rows, deps.settings.records_max)
    with deps.artifacts.create(name) as draft:
        intake.write(draft, problems.filter(rows), problems, skip_bad=skip_bad)
        if not skip_bad or not intake.records:
            problems.raise_if_any()
        if not intake.records:
            raise bad(None, "there are no records")
    stored = StoredUpload(
        id=upload_id,
        license_id=license_id,
        artifact=name,
        columns=tuple(reading.columns),
        records=intake.records,
        companies=intake.companies.count(),
        persons=intake.persons.count(),
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
    rows = _kept(deps, stored.artifact)
    if stored.trimmed is None:
        again = (
            record_of(kept.number, kept.number, json.loads(kept.encoded))
            for kept in rows
        )
        return Reading(stored.columns, again, stored.duplicates)
    return Kept(stored.columns, rows, stored.duplicates, stored.trimmed)


def _kept(deps: Deps, name: str) -> Iterator[KeptRecord]:
    with deps.artifacts.open(name) as stream:
        while lines := stream.readlines(_READ_BYTES):
            yield from map(from_line, lines)


def rewritten(line: bytes, change: Change) -> bytes:
    """A line with its fields changed, and with them what was made of the names."""
    number, _, _, _, encoded = from_line(line)
    fields = json.loads(encoded)
    fresh = change(fields)
    return line if fresh == fields else to_line(Record(number, fresh))


def to_line(record: Record) -> bytes:
    """A record as a line of an upload's file."""
    number, person_id = record.number, record.person_id or ""
    label = f"{number}\t{record.company_id}\t{person_id}\t{record.digest}"
    return f"{label}\t{record.encoded}\n".encode()


def from_line(line: bytes) -> KeptRecord:
    """The record that a line of an upload's file holds."""
    number, company_id, person_id, digest, encoded = line[:-1].decode().split("\t")
    return KeptRecord(int(number), company_id, person_id or None, digest, encoded)


def _check_license(deps: Deps, license_id: str) -> None:
    with deps.database.transaction() as connection:
        if licenses.get(connection, license_id) is None:
            raise Refused(Code.NOT_FOUND, f"there is no license {license_id}")


class _Intake:
    """Counts records as they are written, and leaves out those that came before."""

    def __init__(self) -> None:
        self.records = 0
        self.duplicates = 0
        self.trimmed = 0
        self.companies = Distinct()
        self.persons = Distinct()
        self._seen = Seen()

    def write(
        self,
        draft: Draft,
        records: Iterator[Record],
        problems: Problems,
        *,
        skip_bad: bool,
    ) -> None:
        """Write all records, or only look for problems once there is one."""
        while batch := list(islice(records, _BATCH_RECORDS)):
            self.trimmed += sum(record.trimmed for record in batch)
            if skip_bad or not problems.total:
                lines = [to_line(record) for record in batch if self._is_new(record)]
                draft.write(b"".join(lines))

    def _is_new(self, record: Record) -> bool:
        company_id, person_id = record.company_id, record.person_id
        if self._seen.before(company_id + _NO_CHARACTER_OF_IDS + (person_id or "")):
            self.duplicates += 1
            return False
        self.records += 1
        self.companies.add(company_id)
        if person_id is not None:
            self.persons.add(person_id)
        return True
