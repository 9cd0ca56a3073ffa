"""Files that come compressed: gzip, zstd, a ZIP of one file, and content codings.

What is in one is written to a file of its own, which has no name and ends with whoever
reads it: some formats are read from their end. It may become so large and no larger.
"""

import gzip
import io
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, NamedTuple, cast

from worker.infrastructure.errors import Code, Refused, bad
from worker.quotes.readers.files.signatures import (
    COMPRESSED,
    Kind,
    archive_in,
    kind_of,
)

_AT_ONCE = 1 << 18
_NOT_THEIRS = "__MACOSX/"
_ENCRYPTED = 0x1
_LISTED = 10


class Opened(NamedTuple):
    """A stream that is not compressed, and how it was; None where it was not."""

    stream: BinaryIO
    compression: str | None


class _Decompressed(io.BufferedRandom):
    """A file without a name, closed by whoever lets go of it last."""

    def __init__(self) -> None:
        file: Any = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - closed below
        super().__init__(file)

    def __del__(self) -> None:
        self.close()


def opened(stream: BinaryIO, coding: str | None, bytes_max: int) -> Opened:
    """What is in a stream that can be sought, by its coding or its first bytes.

    Raises `BadInput` where it cannot be decompressed, or an archive has not one file;
    `Refused` where it becomes too large.
    """
    if coding is not None:
        pieces = _coding(coding)(stream)
        inner = Opened(_written(pieces, coding, bytes_max), coding)
    else:
        inner = Opened(stream, None)
    kind = kind_of(inner.stream)
    if kind not in COMPRESSED:
        return inner
    name, pieces = _BY_KIND[kind](inner.stream)
    told = f"{inner.compression}, {name}" if inner.compression else name
    return Opened(_written(pieces, name, bytes_max), told)


def coding_of(content_encoding: str) -> str | None:
    """The coding that a header names, None for none. Raises `BadInput` for others."""
    name = content_encoding.strip().lower().removeprefix("x-")
    if name in {"", "identity"}:
        return None
    _coding(name)
    return name


def _coding(name: str) -> Callable[[BinaryIO], Iterator[bytes]]:
    found = _CODINGS.get(name)
    if found is None:
        message = f"{name!r} is not read; there are {', '.join(_CODINGS)}"
        raise bad("Content-Encoding", message)
    return found


def _written(pieces: Iterator[bytes], name: str, bytes_max: int) -> BinaryIO:
    """All pieces as a file, from its start."""
    file, written = _Decompressed(), 0
    try:
        for data in pieces:
            written += len(data)
            if written > bytes_max:
                detail = f"the file is larger than {bytes_max} bytes once decompressed"
                raise Refused(Code.TOO_LARGE, detail)
            file.write(data)
    except (EOFError, OSError, zlib.error, zipfile.BadZipFile) as error:
        raise bad(None, f"cannot be decompressed as {name}: {error}") from error
    file.seek(0)
    return cast("BinaryIO", file)


def _read(stream: Any) -> Iterator[bytes]:  # noqa: ANN401 - whatever reads
    while data := stream.read(_AT_ONCE):
        yield data


def _gzip(stream: BinaryIO) -> Iterator[bytes]:
    with gzip.GzipFile(fileobj=stream) as file:
        yield from _read(file)


def _deflate(stream: BinaryIO) -> Iterator[bytes]:
    """The zlib format, as it was meant, or what many send: deflate alone."""
    first = stream.read(2)
    stream.seek(0)
    is_zlib = len(first) == 2 and not int.from_bytes(first) % 31  # noqa: PLR2004 - RFC 1950
    decoder = zlib.decompressobj(zlib.MAX_WBITS if is_zlib else -zlib.MAX_WBITS)
    for data in _read(stream):
        yield decoder.decompress(data, _AT_ONCE)
        while decoder.unconsumed_tail:
            yield decoder.decompress(decoder.unconsumed_tail, _AT_ONCE)
    yield decoder.flush()
    if not decoder.eof:
        raise EOFError("it ends too early")


def _by_arrow(codec: str) -> Callable[[BinaryIO], Iterator[bytes]]:
    def pieces(stream: BinaryIO) -> Iterator[bytes]:
        import pyarrow as pa  # type: ignore[import-untyped] # noqa: PLC0415 - 30 MB that few processes need

        source = pa.PythonFile(stream, mode="r")
        yield from _read(pa.CompressedInputStream(source, codec))

    return pieces


_CODINGS: dict[str, Callable[[BinaryIO], Iterator[bytes]]] = {
    "gzip": _gzip,
    "deflate": _deflate,
    "zstd": _by_arrow("zstd"),
    "br": _by_arrow("brotli"),
}


def _zip(stream: BinaryIO) -> tuple[str, Iterator[bytes]]:
    """What is in an archive of one file."""
    try:
        archive = archive_in(stream)
    except zipfile.BadZipFile as error:
        raise bad(None, f"the ZIP archive cannot be read: {error}") from error
    files = [
        one
        for one in archive.infolist()
        if not one.is_dir() and not one.filename.startswith(_NOT_THEIRS)
    ]
    if len(files) != 1:
        shown = ", ".join(one.filename for one in files[:_LISTED]) or "none"
        more = f" and {len(files) - _LISTED} more" if files[_LISTED:] else ""
        message = f"the ZIP archive must hold one file; it holds {shown}{more}"
        raise bad(None, message)
    if files[0].flag_bits & _ENCRYPTED:
        message = "the ZIP archive is protected by a password: send it without"
        raise bad(None, message)
    return "zip", _unzipped(archive, files[0])


def _unzipped(archive: zipfile.ZipFile, file: zipfile.ZipInfo) -> Iterator[bytes]:
    try:
        with archive, archive.open(file) as content:
            yield from _read(content)
    except RuntimeError as error:
        raise zipfile.BadZipFile(str(error)) from error


_BY_KIND: dict[Kind, Callable[[BinaryIO], tuple[str, Iterator[bytes]]]] = {
    Kind.GZIP: lambda stream: ("gzip", _gzip(stream)),
    Kind.ZSTD: lambda stream: ("zstd", _by_arrow("zstd")(stream)),
    Kind.ZIP: _zip,
}
