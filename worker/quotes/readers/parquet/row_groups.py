"""Row groups as their footer and pages have them, held to the bounds before any work.

What pyarrow holds at once are a page and the dictionary of each column, and a batch of
rows. A value of a dictionary may come in each row, so how many rows are a batch goes by
the longest.
"""

import struct
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

import pyarrow as pa  # type: ignore[import-untyped]

from worker.infrastructure.errors import bad
from worker.quotes.readers.bounds import BATCH_BYTES, HELD_BYTES_MAX
from worker.quotes.readers.parquet.page_headers import Page, pages_of
from worker.quotes.readers.table import ROWS

_MAGIC, _MAGIC_ENCRYPTED = b"PAR1", b"PARE"
_TAIL = struct.Struct("<I4s")
_FOOTER_BYTES_MAX = 4 << 20
_PAGES_MAX = 500_000

_DICTIONARY_BYTES = 1 << 10
"""Values of a dictionary that is no larger need not be looked at one by one."""


class RowGroup(NamedTuple):
    """Some rows behind each other, and how many of them are a batch.

    `rows` are as many as the footer says. `unreadable` says why none of them can be.
    """

    rows: int
    batch_rows: int
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


def row_groups(
    stream: BinaryIO,
    metadata: Any,  # noqa: ANN401 - pyarrow ships no types
) -> list[RowGroup]:
    """All row groups of a file whose columns are plain.

    Raises `BadInput` where one would take more than may be held.
    """
    size = stream.seek(0, 2)
    left = _PAGES_MAX
    found = []
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        held = row_bytes = 0
        unreadable = None
        for place in range(group.num_columns):
            column = group.column(place)
            try:
                chunk = _chunk(stream, size, column, group.num_rows, left)
            except (ValueError, OSError, pa.ArrowException) as error:
                unreadable = f"{column.path_in_schema}: {error}"
                break
            left -= chunk.pages
            held += chunk.held_bytes
            row_bytes += chunk.value_bytes
        if left < 0:
            raise bad(None, f"has more than {_PAGES_MAX} pages: write larger ones")
        _check_held(number, held)
        rows = max(1, min(ROWS, BATCH_BYTES // max(row_bytes, 1)))
        found.append(RowGroup(group.num_rows, rows, unreadable))
    stream.seek(0)
    return found


def _check_held(number: int, held: int) -> None:
    if held > HELD_BYTES_MAX:
        message = (
            f"row group {number + 1} takes {-(-held >> 20)} MiB at once; at most "
            f"{HELD_BYTES_MAX >> 20} are held: write it with smaller pages"
        )
        raise bad(None, message)


class _Chunk(NamedTuple):
    """A column of a row group: what is held of it, and the most that a value takes."""

    held_bytes: int
    value_bytes: int
    pages: int


def _chunk(
    stream: BinaryIO,
    size: int,
    column: Any,  # noqa: ANN401 - the same
    rows: int,
    pages_max: int,
) -> _Chunk:
    """Look at a column's pages. Raises `ValueError` where they are no column's."""
    if column.num_values != rows:
        raise ValueError(f"{column.num_values} values are no {rows} rows")
    has_text = column.physical_type == "BYTE_ARRAY"
    dictionary = longest = held = 0
    by_prefix = by_dictionary = False
    dense = 0
    count = 0
    for page, place in _pages(stream, size, column, rows):
        count += 1
        if count > pages_max:
            break
        held = max(held, page.bytes + page.compressed_bytes)
        if page.is_dictionary:
            dictionary = page.bytes
            longest = _longest(stream, column, page, place) if has_text else 0
        elif page.values:
            by_dictionary |= page.by_dictionary
            by_prefix |= page.by_prefix
            dense = max(dense, -(-page.bytes // page.values))
            if page.by_prefix:
                longest = max(longest, page.bytes)
    value = max(dense, longest if by_dictionary or by_prefix else 0) + 16
    return _Chunk(held + dictionary, value, count)


def _pages(
    stream: BinaryIO,
    size: int,
    column: Any,  # noqa: ANN401 - the same
    rows: int,
) -> Iterator[tuple[Page, int]]:
    """A column's pages, each with the place where its data begins."""
    first = column.data_page_offset
    if column.has_dictionary_page and 0 < column.dictionary_page_offset < first:
        first = column.dictionary_page_offset
    if column.file_path:
        raise ValueError("it lies in another file")
    yield from pages_of(stream, first, size, rows)


def _longest(
    stream: BinaryIO,
    column: Any,  # noqa: ANN401 - the same
    page: Page,
    place: int,
) -> int:
    """How long the longest value of a dictionary is, or may be."""
    if page.bytes <= _DICTIONARY_BYTES or page.bytes > HELD_BYTES_MAX:
        return page.bytes  # The latter is not going to be read.
    stream.seek(place)
    data = stream.read(page.compressed_bytes)
    if column.compression != "UNCOMPRESSED":
        # Raises where it becomes more than it says, or less.
        data = _decompressed(column.compression, data, page.bytes)
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


def _decompressed(name: str, data: bytes, size: int) -> bytes:
    if name.startswith("LZ4"):
        # Of two framings, which only pyarrow tells apart.
        return _unknown_values(size)
    return pa.decompress(data, size, codec=name.lower(), asbytes=True)  # type: ignore[no-any-return]


def _unknown_values(size: int) -> bytes:
    """A dictionary that may as well be one value."""
    return struct.pack("<I", size)
