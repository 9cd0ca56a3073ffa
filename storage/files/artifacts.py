"""Files beside the database: inputs, parts and export files, behind a small interface.

A file appears under its name whole or not at all, and is never written again. A
folder of this machine and a bucket of an S3-compatible store have the same methods.
"""

import hashlib
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import datetime
from typing import BinaryIO, NamedTuple, Protocol

UNTOLD = "application/octet-stream"
"""The media type of a file of which nobody has said what it is."""

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")


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

    def create(
        self, name: str, *, media_type: str = UNTOLD
    ) -> AbstractContextManager[Draft]:
        """Write a file; it appears when the block ends without an exception.

        A store that keeps media types keeps `media_type` with it. Raises `DiskFull` or
        `ArtifactError`; then nothing has appeared.
        """

    def open(self, name: str) -> AbstractContextManager[BinaryIO]:
        """Read a file from its beginning; it can be sought, but not from its end.

        Raises `MissingArtifact` where the store has no such file, and `ArtifactError`
        where it cannot be asked; both also while it is read: a file that is not there
        may show only then.
        """

    def locate(self, name: str) -> str:
        """Where the file lies, for a person to read."""

    def link(
        self, name: str, *, file_name: str, lasts_s: int, media_type: str = UNTOLD
    ) -> str | None:
        """A signed URL under which anybody can have the file for so long.

        It downloads as `file_name`, as what `media_type` says. None where the store
        itself answers nobody.
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
