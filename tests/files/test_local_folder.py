"""A folder as a store: drafts, folders, room; what all stores keep to is beside it."""

import os
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from storage.errors import ArtifactError, MissingArtifact
from storage.files.artifact_store import open_artifacts
from storage.files.local_folder import LocalFolder, close_to_others


@pytest.fixture
def folder(tmp_path) -> LocalFolder:
    return LocalFolder(tmp_path / "files")


def _names(tmp_path) -> list[str]:
    """All files there are, drafts included."""
    root = tmp_path / "files"
    return sorted(
        str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()
    )


def test_nothing_is_there_before_the_end(folder, tmp_path):
    with folder.create("a.csv") as draft:
        draft.write(b"x" * 100_000)
        with pytest.raises(ArtifactError), folder.open("a.csv"):
            pass
    assert _names(tmp_path) == ["a.csv"]


@pytest.mark.parametrize("how", ["it alone", "a folder", "all", "the store"])
def test_a_file_that_is_missing_is_told_from_a_folder_that_is_away(
    folder, tmp_path, how
):
    for name in ("a/b.csv", "c.csv"):
        with folder.create(name) as draft:
            draft.write(b"x")
    root = tmp_path / "files"
    gone = {
        "it alone": [root / "a" / "b.csv"],
        "a folder": [root / "a"],
        "all": [root / "a", root / "c.csv"],
        "the store": [root],
    }
    for place, path in enumerate(gone[how]):
        path.rename(tmp_path / str(place))
    with pytest.raises(ArtifactError) as told, folder.open("a/b.csv"):
        pass
    is_missing = how in ("it alone", "a folder")
    assert isinstance(told.value, MissingArtifact) is is_missing


def test_what_raises_leaves_nothing_behind(folder, tmp_path):
    with suppress(ZeroDivisionError), folder.create("a.csv") as draft:
        draft.write(b"half")
        raise ZeroDivisionError
    assert _names(tmp_path) == []


def test_a_failed_second_try_leaves_the_first_file_whole(folder, tmp_path):
    with folder.create("a.csv") as draft:
        draft.write(b"first")
    with suppress(ZeroDivisionError), folder.create("a.csv") as draft:
        draft.write(b"second, half")
        raise ZeroDivisionError
    with folder.open("a.csv") as stream:
        assert stream.read() == b"first"
    assert _names(tmp_path) == ["a.csv"]


def test_two_who_write_the_same_at_once_both_succeed_and_one_file_stays(
    folder, tmp_path
):
    with folder.create("a.csv") as one, folder.create("a.csv") as other:
        one.write(b"same")
        other.write(b"same")
    assert _names(tmp_path) == ["a.csv"]


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
    ],
)
def test_a_name_that_could_lead_elsewhere_is_refused(folder, tmp_path, name):
    with pytest.raises(ArtifactError), folder.create(name) as draft:
        draft.write(b"x")
    with pytest.raises(ArtifactError), folder.open(name):
        pass
    with pytest.raises(ArtifactError):
        folder.locate(name)
    assert list(tmp_path.rglob("*")) == []


def test_a_file_that_is_not_there_is_an_error_that_names_it(folder):
    with folder.create("b.csv"):
        pass
    with (
        pytest.raises(MissingArtifact, match=r"a\.csv: there is no such file"),
        folder.open("a.csv"),
    ):
        pass


def test_a_place_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "files").write_text("a file where the folder should be")
    folder = LocalFolder(tmp_path / "files")
    with pytest.raises(ArtifactError), folder.create("a.csv"):
        pass


_FILL = """
import resource, signal, sys
from pathlib import Path
from storage.files.local_folder import LocalFolder, close_to_others
from storage.errors import DiskFull

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
folder = LocalFolder(Path(sys.argv[1]))
with folder.create("small.csv") as draft:
    draft.write(b"x" * 4096)
try:
    with folder.create("large.csv") as draft:
        for _ in range(int(sys.argv[2])):
            draft.write(b"x" * 1000)
except DiskFull as error:
    print(error)
"""


@pytest.mark.parametrize("writes", [5, 50])
def test_no_room_left_is_said_and_leaves_nothing_behind(tmp_path, writes):
    filled = subprocess.run(
        [sys.executable, "-c", _FILL, str(tmp_path / "files"), str(writes)],
        cwd=Path.cwd(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert "no room left for" in filled.stdout
    assert "large.csv" in filled.stdout
    assert _names(tmp_path) == ["small.csv"]


def test_a_store_is_named_by_the_url_of_a_folder(tmp_path):
    store = open_artifacts((tmp_path / "with space").as_uri(), timeout_s=5)
    with store.create("a.csv") as draft:
        draft.write(b"x")
    assert (tmp_path / "with space" / "a.csv").read_bytes() == b"x"
    assert store.locate("a.csv") == str(tmp_path / "with space" / "a.csv")


@pytest.mark.parametrize(
    "url", ["", "files", "/files", "file://host/files", "ftp://x/y", "file:files"]
)
def test_what_names_no_store_is_refused(url):
    with pytest.raises(ArtifactError):
        open_artifacts(url, timeout_s=5)


# -- Removing -----------------------------------------------------------------


def _write(folder: LocalFolder, *names: str) -> None:
    for name in names:
        with folder.create(name) as draft:
            draft.write(b"x")


def _hence(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


def test_a_removed_file_is_gone_with_the_folders_it_leaves_empty(folder, tmp_path):
    _write(folder, "jobs/job-1/parts/1.csv", "jobs/job-2/parts/1.csv")
    folder.remove("jobs/job-1/parts/1.csv")
    assert _names(tmp_path) == ["jobs/job-2/parts/1.csv"]
    assert not (tmp_path / "files/jobs/job-1").exists()


def test_removing_what_is_not_there_changes_nothing(folder, tmp_path):
    _write(folder, "a/1.csv")
    folder.remove("a/2.csv")
    folder.remove("b/2.csv")
    assert _names(tmp_path) == ["a/1.csv"]


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../x", ".x", "../.x.0a1b2c3d"])
def test_nothing_outside_can_be_removed(folder, tmp_path, name):
    (tmp_path / "files").mkdir()
    (tmp_path / "x").touch()
    (tmp_path / ".x.0a1b2c3d").touch()
    with pytest.raises(ArtifactError):
        folder.remove(name)
    assert (tmp_path / "x").exists()
    assert (tmp_path / ".x.0a1b2c3d").exists()


def test_files_are_written_while_others_empty_their_folder(folder, tmp_path):
    stop = threading.Event()

    def remove() -> None:
        while not stop.is_set():
            folder.remove("jobs/job-1/parts/old.csv")

    thread = threading.Thread(target=remove)
    thread.start()
    try:
        for number in range(300):
            _write(folder, f"jobs/job-1/parts/{number}.csv")
            folder.remove(f"jobs/job-1/parts/{number}.csv")
    finally:
        stop.set()
        thread.join()
    assert _names(tmp_path) == []


def test_names_are_those_below_a_folder_that_are_old_enough(folder, tmp_path):
    _write(folder, "jobs/job-1/a.csv", "jobs/b.csv", "inputs/c.jsonl")
    long_ago = _hence(-3600).timestamp()
    os.utime(tmp_path / "files/jobs/b.csv", (long_ago, long_ago))
    assert set(folder.names("jobs", before=_hence(60))) == {
        "jobs/job-1/a.csv",
        "jobs/b.csv",
    }
    assert set(folder.names("jobs", before=_hence(-60))) == {"jobs/b.csv"}
    assert set(folder.names("uploads", before=_hence(60))) == set()


_KILLED = """
import os, signal, sys
from pathlib import Path
from storage.files.local_folder import LocalFolder, close_to_others

with LocalFolder(Path(sys.argv[1])).create("jobs/a.csv") as draft:
    draft.write(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_draft_of_a_killed_writer_is_found_and_removed(folder, tmp_path):
    killed = [sys.executable, "-P", "-c", _KILLED, str(tmp_path / "files")]
    subprocess.run(killed, check=False, timeout=60)
    (draft,) = folder.names("jobs", before=_hence(60))
    assert draft.startswith("jobs/.a.csv.")
    folder.remove(draft)
    assert _names(tmp_path) == []


_AS_SOMEBODY_ELSE = """
import os, sys
os.setgroups([]); os.setgid(54321); os.setuid(54321)
for path in sys.argv[1:]:
    try:
        os.listdir(path) if os.path.isdir(path) else open(path, "rb").close()
        print("read")
    except PermissionError:
        print("refused")
"""


@pytest.fixture
def public_place() -> Iterator[Path]:
    """A folder that every user of the machine can look into, umask or not."""
    before = os.umask(0)
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        place.chmod(0o755)
        (place / "control").write_bytes(b"for all")
        yield place
    os.umask(before)


def _modes(root: Path) -> set[tuple[bool, int]]:
    paths = [root, *root.rglob("*")]
    return {(path.is_dir(), stat.S_IMODE(path.stat().st_mode)) for path in paths}


def _read_by_somebody_else(*paths: Path) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", _AS_SOMEBODY_ELSE, *map(str, paths)],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


def _refuses_somebody_else(place: Path, *paths: Path) -> bool:
    if os.geteuid() != 0:
        return True  # nobody else can be had
    control, *answers = _read_by_somebody_else(place / "control", *paths)
    assert control == "read"
    return set(answers) == {"refused"}


_CLOSED = {(True, 0o700), (False, 0o600)}


def test_nobody_else_on_the_machine_can_read_a_file_whatever_the_umask(public_place):
    root = public_place / "home" / "files"
    with LocalFolder(root).create("jobs/j/parts/a.csv") as draft:
        draft.write(b"ada@engine.example")
        draft_modes = _modes(root)
    assert draft_modes == _modes(root) == _CLOSED
    assert _refuses_somebody_else(public_place, root, root / "jobs/j/parts/a.csv")


def test_a_folder_that_an_older_version_left_open_is_closed(public_place):
    root = public_place / "files"
    (root / "jobs" / "j").mkdir(parents=True)
    (root / "jobs" / "j" / "a.csv").write_bytes(b"ada@engine.example")
    (root / "elsewhere").symlink_to(public_place / "control")
    close_to_others(root)
    (root / "elsewhere").unlink()
    assert _modes(root) == _CLOSED
    assert stat.S_IMODE((public_place / "control").stat().st_mode) == 0o666
    assert _refuses_somebody_else(public_place, root, root / "jobs/j/a.csv")
    close_to_others(public_place / "missing")
