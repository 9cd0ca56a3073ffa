"""Files that are kept as they came, looked at, and read by the mapping that is given.

Until a quote was made of an upload its file can be read again with another mapping.
"""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from shutil import copyfileobj
from typing import Any, BinaryIO, NamedTuple

from storage.errors import DiskFull
from storage.files import row_with_file
from storage.licenses.idempotency_keys import Once
from storage.uploads import uploads as stored_uploads
from storage.uploads.templates import Template
from storage.uploads.uploads import StoredUpload
from worker.infrastructure.dependencies import Deps
from worker.infrastructure.errors import BadInput, Code, Refused
from worker.infrastructure.ids import check_id, new_id
from worker.quotes.readers.formats import BY_CONTENT_TYPE
from worker.quotes.readers.table import ReadOptions
from worker.uploads import problem_files, templates, uploads
from worker.uploads.column_guesses import Guesses, guesses_of
from worker.uploads.inspection import Inspection, inspected
from worker.uploads.mapping_options import Asked, Prepared, prepared
from worker.uploads.problem_files import ProblemSpool
from worker.uploads.uploads import HEADERS, SAID

_COPIED_BYTES = 1 << 20


class Seen(NamedTuple):
    """What is seen in a file, and the template that was made for files like it."""

    inspection: Inspection
    guesses: Guesses
    template: Template | None


def look(
    deps: Deps,
    license_id: str,
    content_type: str,
    stream: BinaryIO,
    said: Mapping[str, Any],
) -> Seen:
    """Look at a file, of which the options of a reading are said as far as needed.

    Raises `BadInput` where it holds no table that can be read.
    """
    options = ReadOptions(**said)
    inspection = inspected(BY_CONTENT_TYPE[content_type].table(stream, options))
    template = templates.like(deps, license_id, inspection.names)
    return Seen(inspection, guesses_of(inspection), template)


def keep(
    deps: Deps,
    license_id: str,
    content_type: str,
    stream: BinaryIO,
    said: Mapping[str, Any],
    *,
    once: Once | None = None,
) -> tuple[StoredUpload, Seen]:
    """Keep a file as it came, whose columns are mapped later; what is seen in it.

    `once` is called in the transaction that keeps it, with the upload's id. Raises as
    `look` does, `Refused` without a license, and `DiskFull`; then nothing is kept.
    """
    uploads.check_license(deps, license_id)
    seen = look(deps, license_id, content_type, stream, said)
    unread = uploads.not_read_yet(new_id("upload"), license_id)
    stored = replace(
        unread,
        columns=seen.inspection.names,
        raw=f"uploads/{unread.id}.raw",
        content_type=content_type,
        noticed={SAID: dict(said), HEADERS: list(seen.inspection.names)},
    )
    assert stored.raw is not None  # noqa: S101 - for the type
    stream.seek(0)
    with deps.artifacts.create(stored.raw) as draft:
        while data := stream.read(_COPIED_BYTES):
            draft.write(data)
    with row_with_file.kept_with_its_file(
        deps.database, deps.artifacts, stored.raw
    ) as connection:
        stored_uploads.put(connection, stored)
        if once is not None:
            once(connection, stored.id)
    return stored, seen


def look_again(deps: Deps, stored: StoredUpload) -> Seen:
    """What is seen in an upload's file. Raises `Refused` where it is not kept."""
    with _file_of(deps, stored) as stream:
        content_type = str(stored.content_type)
        return look(deps, stored.license_id, content_type, stream, _said_of(stored))


def map_columns(
    deps: Deps, upload_id: str, asked: Asked, template: str | None = None
) -> StoredUpload:
    """Read an upload's file by a mapping, in place of what was read of it before.

    With `template` the mapping is kept under this name. Raises `BadInput` with the
    first problems, whose others can then be had as a file, and `Refused` where the file
    is not kept or a quote was made of the upload; its records are then as before.
    """
    if template is not None:
        check_id("template", template)
    stored = uploads.find(deps, None, upload_id)
    asked = replace(asked, options={**_said_of(stored), **asked.options})
    ready = prepared(deps, stored.license_id, asked)
    read = _read(deps, stored, ready)
    with row_with_file.kept_with_its_file(
        deps.database, deps.artifacts, *uploads.files_of_reading(read)
    ) as connection:
        if not stored_uploads.put_read(connection, read):
            raise _settled(stored)
        if template is not None:
            frozen = replace(asked, suffix_list=ready.mapping.suffix_list)
            headers = (stored.noticed or {})[HEADERS]
            templates.put_in(connection, stored.license_id, template, frozen, headers)
    return read


def _read(deps: Deps, stored: StoredUpload, ready: Prepared) -> StoredUpload:
    """Read an upload's file; where it is refused, what is wrong is kept beside it."""
    with (
        _file_of(deps, stored) as stream,
        problem_files.spooled(deps.settings.problems_kept_max) as spool,
    ):
        try:
            format_ = BY_CONTENT_TYPE[str(stored.content_type)]
            read = uploads.records_kept(
                deps,
                stored,
                format_.read(stream, ready.mapping, ready.options),
                spool,
                skip_bad=ready.options.skip_bad,
            )
        except BadInput as error:
            if not spool.problems.total:
                spool.problems.add(error.problems)
            _keep_problems(deps, stored, spool)
            raise
    kept = {name: (stored.noticed or {})[name] for name in (SAID, HEADERS)}
    return replace(read, noticed={**(read.noticed or {}), **kept})


def _keep_problems(deps: Deps, stored: StoredUpload, spool: ProblemSpool) -> None:
    name = uploads.problem_file_name()
    spool.write(deps.artifacts, name, refused=True)
    with row_with_file.kept_with_its_file(
        deps.database, deps.artifacts, name
    ) as connection:
        if not stored_uploads.put_problems(connection, stored, name):
            raise _settled(stored)


@contextmanager
def _file_of(deps: Deps, stored: StoredUpload) -> Iterator[BinaryIO]:
    """An upload's file as it came, where it can be sought from its end too."""
    if stored.raw is None:
        raise _settled(stored)
    with tempfile.TemporaryFile() as copy:
        with deps.artifacts.open(stored.raw) as stream:
            try:
                copyfileobj(stream, copy, _COPIED_BYTES)
            except OSError as error:
                raise DiskFull("no room left for what is being read") from error
        copy.seek(0)
        yield copy


def _settled(stored: StoredUpload) -> Refused:
    """Why the columns of an upload can be mapped no more."""
    if stored.raw is not None:
        why = "a quote was made of it, or its file is gone"
    elif stored.is_quoted:
        why = "a quote was made of it"
    else:
        why = "its file was not kept"
    return Refused(
        Code.WRONG_STATE,
        f"the columns of upload {stored.id} can be mapped no more, for {why}: "
        "upload the file again with inspect=true",
    )


def _said_of(stored: StoredUpload) -> dict[str, Any]:
    """The options that were said when an upload's file came in."""
    said: dict[str, Any] = (stored.noticed or {}).get(SAID, {})
    return said
