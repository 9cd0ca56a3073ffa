"""What a file is by its first bytes, whatever it is called."""

import re
import zipfile
from enum import StrEnum
from typing import IO, BinaryIO, cast

_LOOKED_AT = 512


class Kind(StrEnum):
    """What a file is, in words that a message can use."""

    EMPTY = "empty"
    TEXT = "text"
    JSON = "JSON"
    PARQUET = "Parquet"
    XLSX = "an XLSX workbook"
    XLSB = "an XLSB workbook"
    XLS = "an XLS workbook"
    ODS = "an ODS workbook"
    GZIP = "gzip"
    ZSTD = "zstd"
    ZIP = "a ZIP archive"
    PDF = "a PDF document"
    HTML = "an HTML page"
    XML = "XML"
    RTF = "an RTF document"
    BZIP2 = "bzip2"
    XZ = "xz"
    SEVEN_ZIP = "a 7z archive"
    RAR = "a RAR archive"
    SQLITE = "an SQLite database"
    IMAGE = "an image"


COMPRESSED = frozenset({Kind.GZIP, Kind.ZSTD, Kind.ZIP})
"""What is opened, and what is in it read."""

_FIRST_BYTES = (
    (b"PAR1", Kind.PARQUET),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Kind.XLS),
    (b"\x1f\x8b", Kind.GZIP),
    (b"\x28\xb5\x2f\xfd", Kind.ZSTD),
    (b"%PDF-", Kind.PDF),
    (b"{\\rtf", Kind.RTF),
    (b"BZh", Kind.BZIP2),
    (b"\xfd7zXZ\0", Kind.XZ),
    (b"7z\xbc\xaf\x27\x1c", Kind.SEVEN_ZIP),
    (b"Rar!\x1a\x07", Kind.RAR),
    (b"SQLite format 3\0", Kind.SQLITE),
    (b"\x89PNG", Kind.IMAGE),
    (b"\xff\xd8\xff", Kind.IMAGE),
)
_ZIP = b"PK\x03\x04", b"PK\x05\x06"
_IN_ZIP = {
    "xl/workbook.xml": Kind.XLSX,
    "xl/workbook.bin": Kind.XLSB,
    "content.xml": Kind.ODS,
}
_TEXTS = (
    (
        re.compile(rb"(?i)(?:<!--.*?-->\s*)*<(?:!doctype html|html|table|meta)"),
        Kind.HTML,
    ),
    (re.compile(rb"<\?xml"), Kind.XML),
    (re.compile(rb'\{\s*["}]|\[\s*[{\[\]]'), Kind.JSON),
)


_DIRECTORY_BYTES_MAX = 2 << 20


class _ArchiveStream:
    """A stream as `zipfile` reads it: no directory of more than 2 MiB is held."""

    def __init__(self, stream: BinaryIO) -> None:
        self.seek, self.tell, self.seekable = stream.seek, stream.tell, stream.seekable
        self._stream = stream

    def read(self, size: int = -1) -> bytes:
        """Some bytes, fewer than a directory of very many files has."""
        if size > _DIRECTORY_BYTES_MAX:
            raise zipfile.BadZipFile("it holds too many files")
        return self._stream.read(size)


def archive_in(stream: BinaryIO) -> zipfile.ZipFile:
    """The ZIP archive in a stream. Raises `BadZipFile` where there is none."""
    try:
        return zipfile.ZipFile(cast("IO[bytes]", _ArchiveStream(stream)))
    except (OSError, ValueError, RuntimeError) as error:
        raise zipfile.BadZipFile(str(error)) from error


def kind_of(stream: BinaryIO) -> Kind:
    """What a stream is that can be sought; it is left at its start."""
    stream.seek(0)
    start = stream.read(_LOOKED_AT)
    stream.seek(0)
    if not start:
        return Kind.EMPTY
    for magic, kind in _FIRST_BYTES:
        if start.startswith(magic):
            return kind
    if start.startswith(_ZIP):
        return _kind_of_zip(stream)
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    for pattern, kind in _TEXTS:
        if pattern.match(text):
            return kind
    return Kind.TEXT


def _kind_of_zip(stream: BinaryIO) -> Kind:
    """A workbook is a ZIP too."""
    try:
        with archive_in(stream) as archive:
            names = frozenset(archive.namelist())
    except zipfile.BadZipFile:
        names = frozenset()
    stream.seek(0)
    return next((kind for name, kind in _IN_ZIP.items() if name in names), Kind.ZIP)
