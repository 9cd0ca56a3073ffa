"""Taking in files of records: checked, without duplicates, kept until they are quoted.

What a quote asks of records is worked out once, when they come in; a record's number is
its place in the input, so that what is said of it later is said of that place. Uploads
are kept by columns, as `kept_records` has them.
"""

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

from pricing.claims import KNOWN
from storage.errors import ArtifactError
from storage.files import row_with_file
from storage.licenses import licenses
from storage.licenses.idempotency_keys import Once
from storage.uploads import uploads
from storage.uploads.uploads import StoredUpload
from worker.infrastructure.dependencies import Deps
from worker.infrastructure.errors import Code, Refused, bad
from worker.infrastructure.ids import new_id
from worker.quotes import kept_records
from worker.quotes.file_notes import notes_of
from worker.quotes.intake import Intake, taken_in
from worker.quotes.kept_records import Kept, KeptRecords, UploadedFile
from worker.quotes.readers.reader import Reading
from worker.quotes.readers.record_columns import Row, blocks_of, records_of
from worker.quotes.readers.records import Change, encode, record_of
from worker.uploads import problem_files
from worker.uploads.problem_files import ProblemSpool

SAID, HEADERS = "said", "headers"
"""What an upload remembers of its file besides what is told."""

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
    check_license(deps, license_id)
    unread = not_read_yet(new_id("upload"), license_id)
    with problem_files.spooled(deps.settings.problems_kept_max) as spool:
        stored = records_kept(deps, unread, reading, spool, skip_bad=skip_bad)
    with row_with_file.kept_with_its_file(
        deps.database, deps.artifacts, *files_of_reading(stored)
    ) as connection:
        uploads.put(connection, stored)
        if once is not None:
            once(connection, stored.id)
    return stored


def not_read_yet(upload_id: str, license_id: str) -> StoredUpload:
    """An upload of which nothing is known."""
    return StoredUpload(
        id=upload_id,
        license_id=license_id,
        artifact=None,
        columns=(),
        records=0,
        companies=0,
        persons=0,
        duplicates=0,
        problems=(),
        problems_total=0,
        trimmed=0,
    )


def records_kept(
    deps: Deps,
    unread: StoredUpload,
    reading: Reading,
    spool: ProblemSpool,
    *,
    skip_bad: bool,
) -> StoredUpload:
    """Write the files of a reading's records and problems, which no row names yet.

    Raises as `upload` does; then neither is there.
    """
    name = f"uploads/{new_id('records')}{_BY_COLUMNS}"
    with taken_in(
        reading.blocks,
        deps.settings.records_max,
        skip_bad=skip_bad,
        problems=spool.problems,
        noticed=reading.noticed,
        bytes_max=deps.settings.upload_decoded_bytes_max,
    ) as intake:
        if not skip_bad or not intake.records:
            intake.problems.raise_if_any()
        if not intake.records:
            raise bad(None, "there are no records")
        with deps.artifacts.create(name) as draft:
            for line in intake.lines():
                draft.write(line)
    stored = _of_intake(replace(unread, artifact=name), reading, intake)
    stored = replace(stored, noticed=notes_of(reading))
    if not stored.problems_total:
        return stored
    return replace(stored, problem_file=_problems_kept(deps, stored, spool))


def _of_intake(unread: StoredUpload, reading: Reading, intake: Intake) -> StoredUpload:
    problems = intake.problems
    return replace(
        unread,
        columns=tuple(reading.columns),
        records=intake.records,
        companies=intake.companies,
        persons=intake.persons,
        duplicates=intake.duplicates,
        problems=tuple(uploads.Problem(*problem) for problem in problems.first),
        problems_total=problems.total,
        trimmed=intake.trimmed,
        problem_file=None,
    )


def _problems_kept(deps: Deps, stored: StoredUpload, spool: ProblemSpool) -> str:
    name = problem_file_name()
    try:
        spool.write(deps.artifacts, name)
    except BaseException:
        with suppress(ArtifactError):
            deps.artifacts.remove(stored.artifact or name)
        raise
    return name


def problem_file_name() -> str:
    """A fresh name for a file of problems."""
    return f"uploads/{new_id('problems')}.jsonl"


def files_of_reading(stored: StoredUpload) -> list[str]:
    """The files that were made of an upload's own."""
    return [name for name in (stored.artifact, stored.problem_file) if name is not None]


def find(deps: Deps, license_id: str | None, upload_id: str) -> StoredUpload:
    """An upload, of this license where one is named.

    Raises `Refused` where there is none of this id any more.
    """
    with deps.database.transaction() as connection:
        stored = uploads.get(connection, upload_id)
        whose = license_id or uploads.license_of(connection, upload_id) or ""
        removed = uploads.was_removed(connection, whose, upload_id)
    if removed:
        raise gone(upload_id)
    if stored is None or stored.license_id != whose:
        raise Refused(Code.NOT_FOUND, f"there is no upload {upload_id}")
    return stored


def gone(upload_id: str) -> Refused:
    """What is said of an upload whose files were removed."""
    detail = f"upload {upload_id} has been removed by now: upload it again"
    return Refused(Code.NOT_FOUND, detail)


def reading_of(deps: Deps, stored: StoredUpload) -> Kept | Reading:
    """An upload's records, to be quoted; they were checked when they came in.

    Those of before may have white space around their ids: then two that were told
    apart may be one. Raises `Refused` where its columns are not mapped yet.
    """
    if stored.artifact is None:
        raise Refused(
            Code.WRONG_STATE,
            f"the columns of upload {stored.id} are not mapped yet: "
            f"PUT /v1/uploads/{stored.id}/columns says which is which",
        )
    if stored.artifact.endswith(_BY_COLUMNS):
        return Kept(
            stored.columns,
            map(kept_records.from_line, _lines(deps, stored.artifact)),
            stored.duplicates,
            stored.trimmed or 0,
            _told_of(stored),
            UploadedFile(stored.id, stored.artifact),
        )
    rows = map(_row_of, _lines(deps, stored.artifact))
    return Reading(
        stored.columns,
        blocks_of(rows),
        duplicates=stored.duplicates,
        trimmed=stored.trimmed or 0,
    )


def _told_of(stored: StoredUpload) -> dict[str, Any] | None:
    """What a quote tells of the file, too."""
    if stored.noticed is None:
        return None
    own = {SAID, HEADERS}
    told = {name: one for name, one in stored.noticed.items() if name not in own}
    return {**told, "problems_total": stored.problems_total}


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


def check_license(deps: Deps, license_id: str) -> None:
    """Raise `Refused` where there is no such license."""
    with deps.database.transaction() as connection:
        if licenses.get(connection, license_id) is None:
            raise Refused(Code.NOT_FOUND, f"there is no license {license_id}")
