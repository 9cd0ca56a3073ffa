"""Files in a folder of this machine, or in one that all workers mount."""

import errno
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from storage.errors import ArtifactError, DiskFull
from storage.files.artifacts import _NAME, Draft, is_name

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
