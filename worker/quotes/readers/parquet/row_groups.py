"""Row groups as their footer and pages have them, held to the bounds before any work.

What pyarrow holds at once are a page and the dictionary of each column, and a batch of
rows. A value of a dictionary may come in each row, so how many rows are a batch goes by
the longest.
"""

import struct
from operator import index
from typing import Any, BinaryIO, NamedTuple

import pyarrow as pa  # type: ignore[import-untyped]

from worker.infrastructure.errors import bad
from worker.quotes.readers.bounds import BATCH_BYTES, HELD_BYTES_MAX
from worker.quotes.readers.parquet.compact_protocol import CompactReader
from worker.quotes.readers.parquet.page_headers import Page, pages_of
from worker.quotes.readers.table import ROWS

_MAGIC, _MAGIC_ENCRYPTED = b"PAR1", b"PARE"
_TAIL = struct.Struct("<I4s")
_FOOTER_BYTES_MAX = 4 << 20
_PAGES_MAX = 500_000
_BYTE_ARRAY = 6
_CODECS = {1: "snappy", 2: "gzip", 4: "brotli", 6: "zstd", 7: "lz4_raw"}
"""Those that pyarrow knows by a name, by parquet.thrift's numbers."""

_DICTIONARY_BYTES = 1 << 10
"""Values of a dictionary that is no larger need not be looked at one by one."""


class RowGroup(NamedTuple):
    """Some rows behind each other, and how many of them are a batch.

    `rows` are as many as the footer says. `by_column`: their columns cannot all be held
    at once. `unreadable` says why none of the rows can be read.
    """

    rows: int
    batch_rows: int
    by_column: bool
    unreadable: str | None


def footer_of(stream: BinaryIO) -> bytes:
    """The footer as a file of its own, which has no rows.

    Raises `BadInput` where a file's end is none, or one that is too large.
    """
    size = stream.seek(0, 2)
    if size < 2 * _TAIL.size:
        raise bad(None, "the file cannot be read as Parquet: it is too short")
    stream.seek(-_TAIL.size, 2)
    footer_bytes, magic = _TAIL.unpack(stream.read(_TAIL.size))
    if magic == _MAGIC_ENCRYPTED:
        raise bad(None, "the file cannot be read as Parquet: it is encrypted")
    if magic != _MAGIC:
        message = "it does not end like one; it may be cut off, or another format"
        raise bad(None, f"the file cannot be read as Parquet: {message}")
    if footer_bytes > size:
        message = f"its footer would be larger than it ({footer_bytes} bytes)"
        raise bad(None, f"the file cannot be read as Parquet: {message}")
    if footer_bytes > _FOOTER_BYTES_MAX:
        message = f"the footer takes {footer_bytes} bytes; at most {_FOOTER_BYTES_MAX}"
        raise bad(None, f"{message} are read: write fewer, larger row groups")
    stream.seek(-footer_bytes - _TAIL.size, 2)
    footer = stream.read(footer_bytes + _TAIL.size)
    stream.seek(0)
    return _MAGIC + footer


def row_groups(stream: BinaryIO, footer: bytes) -> list[RowGroup]:
    """All row groups of a file whose columns are plain, by its `footer_of`.

    Raises `BadInput` where one would take more than may be held, and `ValueError` where
    the footer cannot be read.
    """
    size = stream.seek(0, 2)
    left = _PAGES_MAX
    found = []
    for number, (rows, columns) in enumerate(_described(footer), start=1):
        held = row_bytes = 0
        unreadable = None
        for column in columns:
            try:
                chunk = _chunk(stream, size, column, rows, left)
            except (ValueError, OSError, pa.ArrowException) as error:
                unreadable = f"{column.name}: {error}"
                break
            _check_held(number, column.name, chunk.held_bytes)
            left -= chunk.pages
            held += chunk.held_bytes
            row_bytes += chunk.value_bytes
        if left < 0:
            raise bad(None, f"has more than {_PAGES_MAX} pages: write larger ones")
        batch = max(1, min(ROWS, BATCH_BYTES // max(row_bytes, 1)))
        found.append(RowGroup(rows, batch, held > HELD_BYTES_MAX, unreadable))
    stream.seek(0)
    return found


class _Column(NamedTuple):
    """A column of a row group as the footer has it."""

    name: str
    is_bytes: bool
    codec: int
    values: int
    first_page: int


def _described(footer: bytes) -> list[tuple[int, list[_Column]]]:
    """The row groups that a footer has: their rows and columns."""
    try:
        fields = CompactReader(footer, len(_MAGIC)).struct()
        return [
            (index(group[3]), [_column(column) for column in group[1]])
            for group in fields.get(4, ())
        ]
    except (LookupError, TypeError, AttributeError) as error:
        raise ValueError("its footer cannot be read") from error


def _column(chunk: dict[int, Any]) -> _Column:
    said = chunk[3]
    data, dictionary = index(said[9]), index(said.get(11) or 0)
    first = dictionary if 0 < dictionary < data else data
    if chunk.get(1):
        first = -1  # It lies in another file.
    name = b".".join(said[3]).decode(errors="replace")
    is_bytes = index(said[1]) == _BYTE_ARRAY
    return _Column(name, is_bytes, index(said[4]), index(said[5]), first)


def _check_held(number: int, name: str, held: int) -> None:
    if held > HELD_BYTES_MAX:
        message = (
            f"a page of row group {number} takes {-(-held >> 20)} MiB; at most "
            f"{HELD_BYTES_MAX >> 20} are held: write smaller pages"
        )
        raise bad(name, message)


class _Chunk(NamedTuple):
    """A column of a row group: what is held of it, and the most that a value takes."""

    held_bytes: int
    value_bytes: int
    pages: int


def _chunk(
    stream: BinaryIO, size: int, column: _Column, rows: int, pages_max: int
) -> _Chunk:
    """Look at a column's pages. Raises `ValueError` where they are no column's."""
    if column.values != rows or rows < 0:
        raise ValueError(f"{column.values} values are no {rows} rows")
    dictionary = longest = held = 0
    by_prefix = by_dictionary = False
    dense = 0
    count = 0
    for page, place in pages_of(stream, column.first_page, size, rows):
        count += 1
        if count > pages_max:
            break
        held = max(held, page.bytes + page.compressed_bytes)
        if page.is_dictionary:
            dictionary = page.bytes
            longest = _longest(stream, column, page, place)
        elif page.values:
            by_dictionary |= page.by_dictionary
            by_prefix |= page.by_prefix
            dense = max(dense, -(-page.bytes // page.values))
            if page.by_prefix:
                longest = max(longest, page.bytes)
    value = max(dense, longest if by_dictionary or by_prefix else 0) + 16
    return _Chunk(held + dictionary, value, count)


def _longest(stream: BinaryIO, column: _Column, page: Page, place: int) -> int:
    """How long the longest value of a dictionary is, or may be."""
    if not column.is_bytes:
        return 0
    if page.bytes <= _DICTIONARY_BYTES or page.bytes > HELD_BYTES_MAX:
        return page.bytes  # The latter is not going to be read.
    stream.seek(place)
    data = stream.read(page.compressed_bytes)
    if column.codec:
        name = _CODECS.get(column.codec)
        if name is None:
            return page.bytes  # May be one value.
        # Raises where it becomes more than it says, or less.
        data = pa.decompress(data, page.bytes, codec=name, asbytes=True)
    unpack = struct.Struct("<I").unpack_from
    longest = at = 0
    try:
        while at < len(data):
            (length,) = unpack(data, at)
            at += 4 + length
            longest = length if length > longest else longest  # noqa: FURB136 - the fastest
    except struct.error as error:
        raise ValueError("a dictionary does not end") from error
    return longest
