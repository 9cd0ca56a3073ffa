"""Files as they came, and of problems: kept for their time, and let go with care."""

import io
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace

import pytest
from sqlalchemy import text

from pricing.findings import EmailLevel
from storage.errors import DiskFull
from storage.quotes.quotes import Request
from storage.retention import expired_rows, orphaned_files
from storage.uploads.uploads import StoredUpload
from tests.support import job_runs
from worker.infrastructure.errors import BadInput, Code, Refused
from worker.jobs import submission
from worker.quotes import quote_maker
from worker.retention import person_erasure, pruner
from worker.uploads import column_mappings, uploads
from worker.uploads.mapping_options import Asked
from worker.wiring import Wired

_FILE = b"Id,Person,Mail\nc1,p1,ada@acme.com\nc2,p2,ben@acme.com\n,p3,cy@acme.com\n"
_ASKED = Asked(
    columns={"company_id": "Id", "person_id": "Person"}, options={"skip_bad": True}
)
_REQUEST = Request(
    kind="export",
    license_id="acme",
    user_id="u",
    retrieve=(),
    email_level=EmailLevel.VERIFIED,
    only_with=None,
    export={"format": "csv"},
)


@pytest.fixture
def deps(database_url, tmp_path) -> Iterator[Wired]:
    deps = job_runs.wire_to(database_url, tmp_path)
    with closing(deps.database):
        job_runs.create_license(deps)
        yield deps


def _kept(deps: Wired) -> StoredUpload:
    """An upload with all files that one can have."""
    stored, _ = column_mappings.keep(deps, "acme", "text/csv", io.BytesIO(_FILE), {})
    return column_mappings.map_columns(deps, stored.id, _ASKED)


def _files(deps: Wired) -> set[str]:
    folder = deps.settings.home / "files"
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file()
    }


def _names(stored: StoredUpload) -> set[str]:
    names = (stored.artifact, stored.raw, stored.problem_file)
    return {name for name in names if name is not None}


def test_what_is_read_again_replaces_what_was_read_before_and_nothing_is_left(deps):
    first = _kept(deps)
    assert _files(deps) == _names(first)
    assert len(_names(first)) == 3
    second = column_mappings.map_columns(deps, first.id, _ASKED)
    pruner.remove_marked(deps)
    assert _files(deps) == _names(second)
    assert second.raw == first.raw
    # A refusal keeps its problems alone.
    strict = replace(_ASKED, options={})
    with pytest.raises(BadInput):
        column_mappings.map_columns(deps, first.id, strict)
    pruner.remove_marked(deps)
    found = uploads.find(deps, "acme", first.id)
    assert (found.artifact, found.records) == (second.artifact, 2)
    assert found.problem_file != second.problem_file
    assert _files(deps) == _names(found)
    clean = Asked(columns={"company_id": "Person"})
    assert column_mappings.map_columns(deps, first.id, clean).problem_file is None
    pruner.remove_marked(deps)
    assert len(_files(deps)) == 2
    assert _files(deps) == _names(uploads.find(deps, "acme", first.id))


def test_no_file_that_an_upload_names_is_an_orphan_and_all_go_after_their_time(deps):
    stored = _kept(deps)
    names = _names(stored)
    with deps.database.transaction() as connection:
        assert orphaned_files.orphans(connection, [*names, "uploads/x"]) == [
            "uploads/x"
        ]
        past = "UPDATE uploads SET created_at = created_at - interval '1 year'"
        connection.execute(text(past))
        assert expired_rows.let_uploads_go(connection, after_s=1, limit=9) == 1
        assert set(orphaned_files.orphans(connection, names)) == names
    pruner.remove_marked(deps)
    assert _files(deps) == set()
    with pytest.raises(Refused, match="upload it again"):
        uploads.find(deps, "acme", stored.id)


def test_erasing_a_person_lets_files_go_in_which_nobody_can_tell_who_is_where(deps):
    stored = _kept(deps)
    job_runs.create_license(deps, "other")
    other, _ = column_mappings.keep(deps, "other", "text/csv", io.BytesIO(_FILE), {})
    erased = person_erasure.erase(deps, "p1", "acme")
    assert (erased.raw_files, erased.uploads) == (1, 1)
    found = uploads.find(deps, "acme", stored.id)
    assert (found.raw, found.problem_file) == (None, None)
    folder = deps.settings.home / "files"
    ours = [folder / name for name in _files(deps) if name != other.raw]
    assert b"ada@acme.com" not in b"".join(path.read_bytes() for path in ours)
    with pytest.raises(Refused) as refused:
        column_mappings.map_columns(deps, stored.id, _ASKED)
    assert refused.value.code is Code.WRONG_STATE
    assert person_erasure.erase(deps, "p1").raw_files == 1
    assert other.raw not in _files(deps)


def test_a_quote_of_records_that_were_mapped_anew_meanwhile_is_refused(deps):
    stored = _kept(deps)
    column_mappings.map_columns(deps, stored.id, _ASKED)
    for make in (quote_maker.quote, submission.submit_at_once):
        with pytest.raises(Refused) as refused:
            make(deps, _REQUEST, uploads.reading_of(deps, stored))
        assert refused.value.code is Code.WRONG_STATE
    fresh = uploads.reading_of(deps, uploads.find(deps, "acme", stored.id))
    quote_maker.quote(deps, _REQUEST, fresh)
    # The file as it came has done its part.
    pruner.remove_marked(deps)
    assert stored.raw not in _files(deps)


def test_a_file_whose_quote_is_made_while_it_is_read_again_stays_as_it_was_quoted(
    deps, monkeypatch
):
    stored = _kept(deps)
    reading = uploads.reading_of(deps, stored)
    opened = column_mappings._file_of

    @contextmanager
    def quoted_meanwhile(*words):
        with opened(*words) as stream:
            yield stream
            quote_maker.quote(deps, _REQUEST, reading)

    monkeypatch.setattr(column_mappings, "_file_of", quoted_meanwhile)
    with pytest.raises(Refused) as refused:
        column_mappings.map_columns(deps, stored.id, _ASKED)
    assert refused.value.code is Code.WRONG_STATE
    assert uploads.find(deps, "acme", stored.id).artifact == stored.artifact
    pruner.remove_marked(deps)
    left = {name for name in _files(deps) if name.startswith("uploads/")}
    assert left == {stored.artifact, stored.problem_file}


def test_a_full_disk_keeps_no_file_of_what_was_not_kept(deps):
    large = b"Id,note\n" + b"".join(b"c%d,%b\n" % (n, b"x" * 99) for n in range(900))
    with job_runs.little_room(20_000), pytest.raises(DiskFull):
        column_mappings.keep(deps, "acme", "text/csv", io.BytesIO(large), {})
    assert _files(deps) == set()
    with pytest.raises(Refused):
        column_mappings.keep(deps, "nobody", "text/csv", io.BytesIO(_FILE), {})
    assert _files(deps) == set()
