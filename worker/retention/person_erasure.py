"""Erasing a person: all that says more of somebody than an id.

The order makes it complete. First the person is blocked, so that no batch that begins
from then on finds or writes anything; then the records' files are written again with
the ids alone, and whoever works from the former ones is fenced off; then the files that
were delivered go. Each step can be repeated: after a crash the same again ends it.
"""

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Connection

from storage.connections import id_map
from storage.files import pending_removals
from storage.findings import findings
from storage.licenses import licenses
from storage.pushes import dry_runs
from storage.retention import erased_persons, expired_rows
from storage.retention.erased_persons import Kept
from worker.exports.file_names import parts_folder
from worker.finance.chain.reason_erasure import erase_reasons
from worker.infrastructure.dependencies import Deps
from worker.infrastructure.errors import Code, Refused
from worker.infrastructure.ids import check_id, trimmed
from worker.quotes import priced_records
from worker.quotes.erased_persons import ids_alone
from worker.quotes.readers.records import PERSON_ID, Change, encode
from worker.retention.pruner import remove_marked
from worker.uploads import uploads

_PAGE = 200
_FOREVER_S = 1000 * 365.0 * 24 * 3600

_Erased = Callable[[bytes], bytes]
_Rewritten = Callable[[bytes, Change], bytes]


class _Records(NamedTuple):
    """A kind of records' files: what names them, and how a line is written again."""

    listing: Callable[..., list[Kept]]
    replace: Callable[[Connection, Kept, str], bool]
    rewritten: _Rewritten


_UPLOADS = _Records(
    erased_persons.uploads, erased_persons.replace_upload, uploads.rewritten
)
_INPUTS = _Records(
    erased_persons.inputs, erased_persons.replace_input, priced_records.rewritten
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """What this run has removed, and the jobs under way that will leave no file.

    `raw_files` are uploads that lost their file as it came, or that of their problems.
    """

    directory: int
    findings: int
    raw_files: int
    uploads: int
    inputs: int
    rejections: int
    reasons: int
    files: int
    jobs_under_way: tuple[str, ...]

    def answer(self) -> dict[str, object]:
        """The same as clients see it."""
        counts = {
            name: getattr(self, name)
            for name in self.__slots__
            if name != "jobs_under_way"
        }
        return {"erased": counts, "jobs_under_way": list(self.jobs_under_way)}


def erase(deps: Deps, person_id: str, license_id: str | None = None) -> Erased:
    """Erase a person for everybody, or from what is kept for one license.

    Money rows keep the id. Raises `Refused` where there is no such license.
    """
    person_id = trimmed(person_id)
    check_id("person_id", person_id)
    with deps.database.transaction() as connection:
        if license_id is not None and licenses.get(connection, license_id) is None:
            raise Refused(Code.NOT_FOUND, f"there is no license {license_id}")
        from_directory = erased_persons.put(connection, person_id, license_id)
        # Like the directory they are our own: for one license they stay.
        found = findings.erase(connection, person_id) if license_id is None else 0
    # Before the records: whoever maps the columns of such a file at this moment finds
    # it gone, or has kept records that are found below.
    with deps.database.transaction() as connection:
        raw_files = erased_persons.let_raw_files_go(connection, license_id)
    of_uploads = _rewrite(deps, person_id, license_id, _UPLOADS)
    of_inputs = _rewrite(deps, person_id, license_id, _INPUTS)
    with deps.database.transaction() as connection:
        rejections = erased_persons.silence(connection, person_id, license_id)
        id_map.erase(connection, person_id, license_id)
        dry_runs.erase(connection, person_id, license_id)
    reasons = erase_reasons(deps, person_id, license_id)
    with deps.database.transaction() as connection:
        dropped = erased_persons.drop_files(connection, person_id, license_id)
    _remove_now(deps)
    return Erased(
        directory=from_directory,
        findings=found,
        raw_files=raw_files,
        uploads=of_uploads,
        inputs=of_inputs,
        rejections=rejections,
        reasons=reasons,
        files=sum(job.file is not None for job in dropped),
        jobs_under_way=tuple(job.job_id for job in dropped if not job.ended),
    )


def _rewrite(
    deps: Deps, person_id: str, license_id: str | None, records: _Records
) -> int:
    """Write all files again that hold the person; how many there were."""
    erased = _eraser(records.rewritten, person_id)
    count = 0
    for kept in _all(deps, license_id, records):
        if _holds(deps, kept.name, erased):
            name = _without(deps, kept.name, erased)
            with deps.database.transaction() as connection:
                count += records.replace(connection, kept, name)
    return count


def _all(deps: Deps, license_id: str | None, records: _Records) -> Iterator[Kept]:
    after = ""
    while True:
        with deps.database.transaction() as connection:
            page = records.listing(connection, license_id, after=after, limit=_PAGE)
        yield from page
        if len(page) < _PAGE:
            return
        after = page[-1].id


def _holds(deps: Deps, name: str, erased: _Erased) -> bool:
    with deps.artifacts.open(name) as stream:
        return any(erased(line) != line for line in stream)


def _without(deps: Deps, name: str, erased: _Erased) -> str:
    """Write a file again, with the ids alone where it tells of the person."""
    stem, _, suffix = name.partition(".")
    fresh = f"{stem.partition('-')[0]}-{secrets.token_hex(4)}.{suffix}"
    with deps.artifacts.open(name) as stream, deps.artifacts.create(fresh) as draft:
        for line in stream:
            draft.write(erased(line))
    return fresh


def _eraser(rewritten: _Rewritten, person_id: str) -> _Erased:
    """What becomes of a line; only those that have the id's letters are parsed."""
    # Without the quotes around it: what is kept of before may have white space there.
    letters = encode(person_id)[1:-1]

    def change(fields: dict[str, str]) -> dict[str, str]:
        named = trimmed(fields.get(PERSON_ID, ""))
        return ids_alone(fields) if named == person_id else fields

    return lambda line: rewritten(line, change) if letters in line else line


def _remove_now(deps: Deps) -> None:
    """Remove what is marked, and the parts of ended jobs whose files were dropped."""
    while True:
        with deps.database.transaction() as connection:
            ended = expired_rows.end_parts(connection, after_s=_FOREVER_S, limit=_PAGE)
            pending_removals.mark(
                connection, [parts_folder(job_id) for job_id in ended]
            )
        if remove_marked(deps) + len(ended) == 0:
            return
