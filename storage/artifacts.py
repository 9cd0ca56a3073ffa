"""Files beside the database: inputs, parts and export files, behind a small interface.

A file appears under its name whole or not at all, and is never written again. This
is the local folder; a bucket of an S3-compatible store has the same methods.
"""

import errno
import hashlib
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol
from urllib.parse import unquote, urlsplit

from storage.errors import ArtifactError, DiskFull

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")
_DRAFT = re.compile(rf"({_NAME.pattern}/)?\.[A-Za-z0-9_.-]+\.[0-9a-f]{{8}}")
_TRIES_MAX = 1_000
"""Each is lost only to a removal at that very moment."""
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class Written(NamedTuple):
    """A file that is there: its size and SHA-256 as they went out."""

    name: str
    bytes: int
    sha256: str


class _Sink(Protocol):
    """What bytes can be written to."""

    def write(self, data: bytes, /) -> object: ...


class Draft:
    """A file being written; counts and digests what goes through it."""

    def __init__(self, stream: _Sink) -> None:
        self._stream = stream
        self._digest = hashlib.sha256()
        self.bytes = 0

    def write(self, data: bytes) -> None:
        """Append bytes."""
        self._stream.write(data)
        self._digest.update(data)
        self.bytes += len(data)

    @property
    def sha256(self) -> str:
        """The digest of all that was written so far, in hex."""
        return self._digest.hexdigest()


class Artifacts(Protocol):
    """Where files are kept."""

    def create(self, name: str) -> AbstractContextManager[Draft]:
        """Write a file; it appears when the block ends without an exception.

        Raises `DiskFull` or `ArtifactError`; then nothing has appeared.
        """

    def open(self, name: str) -> AbstractContextManager[BinaryIO]:
        """Read a file from its beginning; it can be sought, but not from its end.

        Raises `ArtifactError`, also while it is read: a file that is not there may
        show only then.
        """

    def locate(self, name: str) -> str:
        """Where the file lies, for a person to read."""

    def link(self, name: str, *, file_name: str, lasts_s: int) -> str | None:
        """A signed URL under which anybody can have the file for so long.

        It downloads as `file_name`. None where the store itself answers nobody.
        """

    def remove(self, name: str) -> None:
        """Take a file away, or none where there is none. Raises `ArtifactError`."""

    def names(self, folder: str, *, before: datetime) -> Iterator[str]:
        """What lies below a folder and was last written before an instant.

        With drafts that never became a file: they can be removed, not opened.
        """


def is_name(name: str) -> bool:
    """Whether a file can have this name: it leads nowhere else, in any store."""
    return _NAME.fullmatch(name) is not None


@contextmanager
def _translated(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise DiskFull(f"no room left for {name}") from error
        raise ArtifactError(f"{name}: {error.strerror or error}") from error


@contextmanager
def written(path: Path, *, make_folder: bool = False) -> Iterator[BinaryIO]:
    """Write beside the place, make it durable, then move it there.

    Raises `DiskFull` or `ArtifactError`; then nothing has appeared.
    """
    draft_path = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with _translated(str(path)):
        try:
            with _opened(draft_path, make_folder=make_folder) as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            draft_path.replace(path)
            _sync_folder(path.parent)
        finally:
            draft_path.unlink(missing_ok=True)


def _opened(draft: Path, *, make_folder: bool) -> BinaryIO:
    """Open a new draft. Its folder, once made, may be removed while it is empty."""
    for _ in range(_TRIES_MAX if make_folder else 0):
        with suppress(FileNotFoundError, FileExistsError):
            draft.parent.mkdir(parents=True, exist_ok=True)
            return draft.open("xb")
    return draft.open("xb")


class LocalFolder:
    """Files in a folder of this machine, or one that all workers mount."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def _path(self, name: str) -> Path:
        if not is_name(name):
            raise ArtifactError(f"{name!r} is no name of a file here")
        return self._root / name

    @contextmanager
    def create(self, name: str) -> Iterator[Draft]:
        """Write a file, whole or not at all."""
        with written(self._path(name), make_folder=True) as stream:
            yield Draft(stream)

    @contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        """Read a file from its beginning."""
        with _translated(name), self._path(name).open("rb") as stream:
            yield stream

    def locate(self, name: str) -> str:
        """The file's path."""
        return str(self._path(name))

    def link(self, name: str, *, file_name: str, lasts_s: int) -> None:
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


def open_artifacts(url: str, *, timeout_s: float) -> Artifacts:
    """The store that a URL names: `file:///an/absolute/folder` or `s3://bucket/prefix`.

    Where it is not on this machine, it must answer within `timeout_s`, or is asked
    again, twice.
    """
    parts = urlsplit(url)
    if parts.scheme == "s3":
        return _open_bucket(url, timeout_s)
    if parts.scheme != "file" or not parts.path.startswith("/") or parts.netloc:
        known = "file:///an/absolute/folder or s3://bucket/prefix"
        raise ArtifactError(f"{url!r} is no store: use {known}")
    return LocalFolder(Path(unquote(parts.path)))


def _open_bucket(url: str, timeout_s: float) -> Artifacts:
    try:
        from storage import bucket  # noqa: PLC0415 - an extra: a folder does without it
    except ModuleNotFoundError as error:
        missing = "s3:// needs the extra s3: pip install 'holdfast[s3]'"
        raise ArtifactError(missing) from error
    return bucket.open_bucket(url, timeout_s=timeout_s)
