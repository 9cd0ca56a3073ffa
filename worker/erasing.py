"""Erasing a person: all that says more of somebody than an id.

The order makes it complete. First the person is blocked, so that no batch that begins
from then on finds or writes anything; then the records' files are written again with
the ids alone, and whoever works from the former ones is fenced off; then the files that
were delivered go. Each step can be repeated: after a crash the same again ends it.
"""

import json
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sqlalchemy import Connection

from storage import erasures, keeping, licenses, removals
from storage.erasures import Kept
from worker.blocking import ids_alone
from worker.checks import check_id
from worker.errors import Code, Refused
from worker.files import parts_folder
from worker.keeping import remove_marked
from worker.records import PERSON_ID
from worker.wiring import Deps

_PAGE = 200
_FOREVER_S = 1000 * 365.0 * 24 * 3600

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

_Listing = Callable[..., list[Kept]]
_Replace = Callable[[Connection, Kept, str], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """What this run has removed, and the jobs under way that will leave no file."""

    directory: int
    uploads: int
    inputs: int
    rejections: int
    files: int
    jobs_under_way: tuple[str, ...]


def erase(deps: Deps, person_id: str, license_id: str | None = None) -> Erased:
    """Erase a person for everybody, or from what is kept for one license.

    Money rows keep the id. Raises `Refused` where there is no such license.
    """
    check_id("person_id", person_id)
    with deps.database.transaction() as connection:
        if license_id is not None and licenses.get(connection, license_id) is None:
            raise Refused(Code.NOT_FOUND, f"there is no license {license_id}")
        from_directory = erasures.put(connection, person_id, license_id)
    uploads = _rewrite(
        deps, person_id, license_id, erasures.uploads, erasures.replace_upload
    )
    inputs = _rewrite(
        deps, person_id, license_id, erasures.inputs, erasures.replace_input
    )
    with deps.database.transaction() as connection:
        rejections = erasures.silence(connection, person_id, license_id)
    with deps.database.transaction() as connection:
        dropped = erasures.drop_files(connection, person_id, license_id)
    _remove_now(deps)
    return Erased(
        directory=from_directory,
        uploads=uploads,
        inputs=inputs,
        rejections=rejections,
        files=sum(job.file is not None for job in dropped),
        jobs_under_way=tuple(job.job_id for job in dropped if not job.ended),
    )


def _rewrite(
    deps: Deps,
    person_id: str,
    license_id: str | None,
    listing: _Listing,
    replace: _Replace,
) -> int:
    """Write all files again that hold the person; how many there were."""
    count = 0
    for kept in _all(deps, license_id, listing):
        if _holds(deps, kept.name, person_id):
            name = _without(deps, kept.name, person_id)
            with deps.database.transaction() as connection:
                count += replace(connection, kept, name)
    return count


def _all(deps: Deps, license_id: str | None, listing: _Listing) -> Iterator[Kept]:
    after = ""
    while True:
        with deps.database.transaction() as connection:
            page = listing(connection, license_id, after=after, limit=_PAGE)
        yield from page
        if len(page) < _PAGE:
            return
        after = page[-1].id


def _holds(deps: Deps, name: str, person_id: str) -> bool:
    with deps.artifacts.open(name) as stream:
        return any(_erased(line, person_id) != line for line in stream)


def _without(deps: Deps, name: str, person_id: str) -> str:
    """Write a file again, with the ids alone where it tells of the person."""
    stem = name.removesuffix(".jsonl").partition("-")[0]
    fresh = f"{stem}-{secrets.token_hex(4)}.jsonl"
    with deps.artifacts.open(name) as stream, deps.artifacts.create(fresh) as draft:
        for line in stream:
            draft.write(_erased(line, person_id))
    return fresh


def _erased(line: bytes, person_id: str) -> bytes:
    """A line as long as before, for a job's chunks know where theirs begin."""
    if _encode(person_id).encode() not in line:
        return line
    number, fields, *claims = json.loads(line)
    if fields.get(PERSON_ID) != person_id or fields == ids_alone(fields):
        return line
    fresh = _encode((number, ids_alone(fields), *claims)).encode()
    return fresh.ljust(len(line) - 1) + b"\n"


def _remove_now(deps: Deps) -> None:
    """Remove what is marked, and the parts of ended jobs whose files were dropped."""
    while True:
        with deps.database.transaction() as connection:
            ended = keeping.end_parts(connection, after_s=_FOREVER_S, limit=_PAGE)
            removals.mark(connection, [parts_folder(job_id) for job_id in ended])
        if remove_marked(deps) + len(ended) == 0:
            return
