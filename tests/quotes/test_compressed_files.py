"""Compressed files: what is in them is read, within bounds, and the rest is refused."""

import gzip
import io
import zipfile
import zlib

import pyarrow as pa  # type: ignore[import-untyped]
import pytest

from tests.support.read_rows import rows_of
from worker.infrastructure.errors import BadInput, Code, Refused
from worker.quotes.readers.files.compression import coding_of
from worker.quotes.readers.formats import ANY, CSV, PARQUET, Format
from worker.quotes.readers.records import Record
from worker.quotes.readers.table import UNTOLD, ReadOptions

DATA = b"company_id,name\n" + b"c1,Acme\n" * 1_000


def _gzip(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


GZIP = _gzip(DATA)


def _zip(**files: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def _bare_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


def _codec(name: str) -> bytes:
    packed: bytes = pa.compress(DATA, codec=name, asbytes=True)
    return packed


def _read(
    data: bytes, options: ReadOptions = UNTOLD, format_: Format = CSV
) -> tuple[int, str | None]:
    """How many records there are, and how they were compressed."""
    reading = format_.read(io.BytesIO(data), options=options)
    rows = list(rows_of(reading))
    assert all(isinstance(row, Record) for row in rows)
    assert reading.noticed is not None
    return len(rows), reading.noticed.compression


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (DATA, None),
        (GZIP, "gzip"),
        (_gzip(DATA[:16]) + _gzip(DATA[16:]), "gzip"),
        (_codec("zstd"), "zstd"),
        (_zip(**{"records.csv": DATA}), "zip"),
        (_zip(**{"__MACOSX/._records.csv": b"x", "records.csv": DATA}), "zip"),
    ],
    ids=["plain", "gzip", "gzip twice", "zstd", "zip", "zip of macOS"],
)
@pytest.mark.parametrize("format_", [CSV, ANY])
def test_what_is_compressed_is_opened_and_told(data, told, format_):
    assert _read(data, format_=format_) == (1_000, told)


@pytest.mark.parametrize(
    ("coding", "data"),
    [
        ("gzip", GZIP),
        ("deflate", zlib.compress(DATA)),
        ("deflate", _bare_deflate(DATA)),
        ("zstd", _codec("zstd")),
        ("br", _codec("brotli")),
    ],
    ids=["gzip", "zlib", "bare deflate", "zstd", "br"],
)
def test_a_content_coding_is_undone(coding, data):
    options = ReadOptions(compression=coding_of(coding))
    assert _read(data, options) == (1_000, coding)


def test_what_is_coded_may_be_compressed_itself():
    options = ReadOptions(compression=coding_of("x-gzip"))
    told = _read(_gzip(_zip(**{"a.csv": DATA})), options)
    assert told == (1_000, "gzip, zip")


def test_a_coding_that_is_not_known_is_named():
    assert coding_of("identity") is coding_of("") is None
    with pytest.raises(BadInput, match="'compress' is not read; there are gzip"):
        coding_of("compress")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (GZIP[:-9], "cannot be decompressed as gzip"),
        (GZIP[:40] + b"x" * 30, "cannot be decompressed as gzip"),
        (_codec("zstd")[:-5], "cannot be decompressed as zstd"),
        (_zip(**{"a.csv": DATA, "b.csv": DATA}), "must hold one file; it holds a.csv"),
        (_zip(), "must hold one file; it holds none"),
        (_zip(**{"a.csv": DATA})[:-30], "ZIP archive cannot be read"),
        (b"BZh91AY", "bzip2"),
    ],
    ids=["gzip cut", "gzip broken", "zstd cut", "two", "none", "zip cut", "bzip2"],
)
def test_what_cannot_be_opened_is_said(data, message):
    with pytest.raises(BadInput, match=message):
        _read(data)


def test_the_directory_of_an_archive_has_a_bound():
    many = {f"{n:050}": b"" for n in range(30_000)}
    with pytest.raises(BadInput, match="it holds too many files"):
        _read(_zip(**many))


def test_an_archive_with_a_password_is_refused():
    data = bytearray(_zip(**{"a.csv": DATA}))
    for header, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(header) + flags] |= 1
    with pytest.raises(BadInput, match="protected by a password"):
        _read(bytes(data))


@pytest.mark.parametrize(
    "data",
    [GZIP, _codec("zstd"), _zip(**{"a.csv": DATA}), zlib.compress(DATA)],
    ids=["gzip", "zstd", "zip", "deflate"],
)
def test_what_becomes_too_large_is_refused(data):
    coding = "deflate" if data[:1] == b"x" else None
    enough = ReadOptions(compression=coding, decoded_bytes_max=len(DATA))
    assert _read(data, enough)[0] == 1_000
    with pytest.raises(Refused) as refused:
        _read(data, ReadOptions(compression=coding, decoded_bytes_max=len(DATA) - 1))
    assert refused.value.code is Code.TOO_LARGE


def test_what_is_in_it_must_be_what_was_declared():
    with pytest.raises(BadInput, match="the file is JSON and not text/csv"):
        _read(_gzip(b'{"company_id": "a"}'))
    reading = ANY.read(io.BytesIO(_gzip(b'{"company_id": "a"}\n')))
    assert list(rows_of(reading)) == [Record(1, {"company_id": "a"})]
    with pytest.raises(BadInput, match="cannot be read as Parquet"):
        PARQUET.read(io.BytesIO(GZIP))
