"""Files in a folder of this machine, or in one that all workers mount.

They hold what customers know of persons: no other user of the machine may enter their
folders or read them, whatever the umask says.
"""

import errno
import logging
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from storage.errors import ArtifactError, DiskFull, MissingArtifact
from storage.files.artifacts import _NAME, UNTOLD, Draft, is_name

log = logging.getLogger(__name__)

_PRIVATE_FOLDER, _PRIVATE_FILE = 0o700, 0o600
_OF_OTHERS = 0o077
_HALF_CLOSED = 0o710
"""Of a folder in which not all is closed yet: whoever is stopped then begins anew."""

_DRAFT = re.compile(rf"({_NAME.pattern}/)?\.[A-Za-z0-9_.-]+\.[0-9a-f]{{8}}")


_TRIES_MAX = 1_000
"""Each is lost only to a removal at that very moment."""


_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@contextmanager
def _translated(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise DiskFull(f"no room left for {name}") from error
        raise ArtifactError(f"{name}: {error.strerror or error}") from error


@contextmanager
def written(path: Path, *, private_below: Path | None = None) -> Iterator[BinaryIO]:
    """Write beside the place, make it durable, then move it there.

    Below `private_below` folders are made where they are missing, and nobody else may
    read the file. Raises `DiskFull` or `ArtifactError`; then nothing has appeared.
    """
    draft_path = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with _translated(str(path)):
        try:
            with _opened(draft_path, private_below) as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            draft_path.replace(path)
            _sync_folder(path.parent)
        finally:
            draft_path.unlink(missing_ok=True)


def _opened(draft: Path, private_below: Path | None) -> BinaryIO:
    """Open a new draft. Its folder, once made, may be removed while it is empty."""
    if private_below is None:
        return draft.open("xb")
    for _ in range(_TRIES_MAX):
        with suppress(FileNotFoundError, FileExistsError):
            _make_folders(draft.parent, private_below)
            return _open_private(draft)
    return _open_private(draft)


def _open_private(draft: Path) -> BinaryIO:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    return os.fdopen(os.open(draft, flags, _PRIVATE_FILE), "wb")


def _make_folders(folder: Path, root: Path) -> None:
    """Make a folder and those above it, each for its owner alone from `root` down."""
    if folder.is_dir():
        return
    if folder == root:
        root.parent.mkdir(parents=True, exist_ok=True)
    else:
        _make_folders(folder.parent, root)
    folder.mkdir(mode=_PRIVATE_FOLDER, exist_ok=True)


def close_to_others(root: Path) -> None:
    """Close a folder, and once all in it, where an older version left it open."""
    try:
        if not root.is_dir() or not root.stat().st_mode & _OF_OTHERS:
            return
        root.chmod(_HALF_CLOSED)
        for place, folders, files in os.walk(root):
            for name, mode in (
                *((name, _PRIVATE_FOLDER) for name in folders),
                *((name, _PRIVATE_FILE) for name in files),
            ):
                path = Path(place, name)
                with suppress(FileNotFoundError):
                    if not path.is_symlink():
                        path.chmod(mode)
        root.chmod(_PRIVATE_FOLDER)
    except OSError as error:
        log.warning("others may read %s, which cannot be closed: %s", root, error)


class LocalFolder:
    """Files in a folder of this machine, or one that all workers mount."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def _path(self, name: str) -> Path:
        if not is_name(name):
            raise MissingArtifact(f"{name!r} is no name of a file here")
        return self._root / name

    @contextmanager
    def create(self, name: str, *, media_type: str = UNTOLD) -> Iterator[Draft]:
        """Write a file, whole or not at all; a folder keeps no media types."""
        del media_type
        with written(self._path(name), private_below=self._root) as stream:
            yield Draft(stream)

    @contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        """Read a file from its beginning."""
        path = self._path(name)
        with _translated(name):
            try:
                stream = path.open("rb")
            except (FileNotFoundError, NotADirectoryError) as error:
                raise self._missing(name) from error
            with stream:
                yield stream

    def _missing(self, name: str) -> ArtifactError:
        """A file is not there: it alone, or the folder that was to be mounted here."""
        try:
            with os.scandir(self._root) as entries:
                is_away = not any(entries)
        except OSError:
            is_away = True
        if is_away:
            return ArtifactError(f"{name}: {self._root} is not there, or is empty")
        return MissingArtifact(f"{name}: there is no such file")

    def locate(self, name: str) -> str:
        """The file's path."""
        return str(self._path(name))

    def link(
        self, name: str, *, file_name: str, lasts_s: int, media_type: str = UNTOLD
    ) -> None:
        """None: a folder answers nobody, so the API hands its files out."""

    def remove(self, name: str) -> None:
        """Take a file away, and the folders that it leaves empty."""
        path = self._root / name if _DRAFT.fullmatch(name) else self._path(name)
        with _translated(name):
            path.unlink(missing_ok=True)
        self._remove_empty(path.parent)

    def names(self, folder: str, *, before: datetime) -> Iterator[str]:
        """What lies below a folder and was last written before an instant."""
        for place, _, file_names in os.walk(self._path(folder)):
            for file_name in file_names:
                path = Path(place, file_name)
                name = path.relative_to(self._root).as_posix()
                ours = is_name(name) or _DRAFT.fullmatch(name)
                if ours and _is_older(path, before):
                    yield name

    def _remove_empty(self, folder: Path) -> None:
        with suppress(OSError):
            while folder != self._root:
                folder.rmdir()
                folder = folder.parent


def _is_older(path: Path, before: datetime) -> bool:
    with suppress(FileNotFoundError):
        return datetime.fromtimestamp(path.lstat().st_mtime, UTC) < before
    return False


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
