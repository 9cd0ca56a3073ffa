"""What every store keeps to: a folder, and two S3 servers that are not alike."""

import hashlib
import io
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

from storage.errors import ArtifactError, MissingArtifact
from storage.files.artifact_store import open_artifacts
from storage.files.artifacts import Artifacts
from storage.files.s3_streams import PIECE_BYTES
from tests.support.stores import Servers

_EVER = datetime.max.replace(tzinfo=UTC)
_KINDS = ("folder", "rclone", pytest.param("moto", marks=pytest.mark.full))
_LARGE = 2 * PIECE_BYTES + 3
"""Two whole pieces, and one that is not."""


@pytest.fixture(scope="module", params=_KINDS)
def shared_store(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    s3_servers: Servers,
) -> Artifacts:
    """Connecting costs a tenth of a second: once for each kind of store."""
    if request.param == "folder":
        url = (tmp_path_factory.mktemp("folder") / "files").as_uri()
    else:
        url = s3_servers(request.param).bucket()
    return open_artifacts(url, timeout_s=5)


@pytest.fixture
def store(shared_store: Artifacts, s3_keys) -> Artifacts:
    """A store with nothing in it."""
    for folder in ("jobs", "inputs"):
        for name in shared_store.names(folder, before=_EVER):
            shared_store.remove(name)
    return shared_store


def _write(store: Artifacts, *names: str, data: bytes = b"x") -> None:
    for name in names:
        with store.create(name) as draft:
            draft.write(data)


def _read(store: Artifacts, name: str) -> bytes:
    with store.open(name) as stream:
        return stream.read()


def _kept(store: Artifacts) -> list[str]:
    """All that there is, with what never became a file."""
    return sorted(store.names("jobs", before=_EVER))


def _text(size: int) -> bytes:
    """Bytes of which no two ranges are alike."""
    lines = b"".join(b"%063d\n" % number for number in range(size // 64 + 1))
    return lines[:size]


def _chunks(data: bytes, size: int) -> Iterator[bytes]:
    for begin in range(0, len(data), size):
        yield data[begin : begin + size]


def test_what_was_written_is_read_with_its_size_and_digest(store):
    with store.create("jobs/job-1/part.csv") as draft:
        draft.write(b"one,")
        draft.write(b"two\n")
    with store.open("jobs/job-1/part.csv") as stream:
        data = stream.read()
        stream.seek(4)
        assert stream.read() == b"two\n"
    assert data == b"one,two\n"
    assert (draft.bytes, draft.sha256) == (8, hashlib.sha256(data).hexdigest())


@pytest.mark.parametrize("size", [0, 1, PIECE_BYTES, _LARGE])
def test_files_of_every_size_come_back_as_they_went(store, size):
    data = _text(size)
    with store.create("jobs/a.csv") as draft:
        for chunk in _chunks(data, 1_000_003):
            draft.write(chunk)
    assert _read(store, "jobs/a.csv") == data
    assert (draft.bytes, draft.sha256) == (size, hashlib.sha256(data).hexdigest())


def test_a_slice_is_read_wherever_it_lies(store):
    data = _text(_LARGE)
    _write(store, "jobs/a.csv", data=data)
    with store.open("jobs/a.csv") as stream:
        for begin, size in [(0, 5), (_LARGE - 3, 9), (3_000_001, 2_000_000), (7, 0)]:
            stream.seek(begin)
            assert stream.read(size) == data[begin : begin + size]
        stream.seek(_LARGE)
        assert stream.read(1) == b""
        stream.seek(_LARGE + 1_000)
        assert stream.read(1) == b""


def test_lines_are_read_one_after_the_other(store):
    data = _text(_LARGE)
    _write(store, "jobs/a.csv", data=data)
    with store.open("jobs/a.csv") as stream:
        assert list(stream) == list(io.BytesIO(data))


@pytest.mark.parametrize("size", [1, _LARGE])
def test_nothing_is_there_before_the_end(store, size):
    with store.create("jobs/a.csv") as draft:
        draft.write(b"x" * size)
        with pytest.raises(ArtifactError):
            _read(store, "jobs/a.csv")
    assert len(_read(store, "jobs/a.csv")) == size
    assert _kept(store) == ["jobs/a.csv"]


@pytest.mark.parametrize("size", [1, _LARGE])
def test_what_raises_leaves_nothing_behind(store, size):
    with suppress(ZeroDivisionError), store.create("jobs/a.csv") as draft:
        draft.write(b"x" * size)
        raise ZeroDivisionError
    assert _kept(store) == []


@pytest.mark.parametrize("size", [1, _LARGE])
def test_a_failed_second_try_leaves_the_first_file_whole(store, size):
    _write(store, "jobs/a.csv", data=b"first")
    with suppress(ZeroDivisionError), store.create("jobs/a.csv") as draft:
        draft.write(b"x" * size)
        raise ZeroDivisionError
    assert _read(store, "jobs/a.csv") == b"first"
    assert _kept(store) == ["jobs/a.csv"]


def test_two_who_write_the_same_at_once_both_succeed_and_one_file_stays(store):
    with store.create("jobs/a.csv") as one, store.create("jobs/a.csv") as other:
        one.write(b"x" * PIECE_BYTES)
        other.write(b"x" * PIECE_BYTES)
    assert _read(store, "jobs/a.csv") == b"x" * PIECE_BYTES
    assert _kept(store) == ["jobs/a.csv"]


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../x",
        "a/../../x",
        "/etc/passwd",
        "a//b",
        "a/",
        ".hidden",
        "a/.hidden",
        "-rf",
        "a b",
        "a\n",
        "a\0b",
        "ä",
        "a?b",
        "a?uploadId=1",
        "a%2fb",
    ],
)
def test_a_name_that_could_lead_elsewhere_is_refused(store, name):
    with pytest.raises(ArtifactError), store.create(name) as draft:
        draft.write(b"x")
    with pytest.raises(ArtifactError):
        _read(store, name)
    with pytest.raises(ArtifactError):
        store.locate(name)
    with pytest.raises(ArtifactError):
        list(store.names(name, before=_EVER))


def test_a_file_that_is_not_there_is_an_error_that_names_it(store):
    with pytest.raises(ArtifactError, match=r"jobs/a\.csv: "):
        _read(store, "jobs/a.csv")


def test_a_removed_file_is_gone_and_the_others_stay(store):
    _write(store, "jobs/job-1/parts/1.csv", "jobs/job-2/parts/1.csv")
    store.remove("jobs/job-1/parts/1.csv")
    assert _kept(store) == ["jobs/job-2/parts/1.csv"]
    with pytest.raises(MissingArtifact):
        _read(store, "jobs/job-1/parts/1.csv")


def test_removing_what_is_not_there_changes_nothing(store):
    _write(store, "jobs/1.csv")
    store.remove("jobs/2.csv")
    store.remove("other/2.csv")
    assert _kept(store) == ["jobs/1.csv"]


def test_names_are_those_below_a_folder_that_are_old_enough(store):
    _write(store, "jobs/job-1/a.csv", "jobs/b.csv", "jobsand/c.csv", "inputs/d.jsonl")
    now = datetime.now(UTC)
    minute = timedelta(seconds=60)
    assert set(store.names("jobs", before=now + minute)) == {
        "jobs/job-1/a.csv",
        "jobs/b.csv",
    }
    assert list(store.names("jobs", before=now - minute)) == []
    assert list(store.names("uploads", before=now + minute)) == []
