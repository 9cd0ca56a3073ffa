"""The headers of a Parquet file's pages: what each would take when it is read.

A page is decompressed as a whole, and as large as its own header says, of which the
footer need not tell the truth and pyarrow tells nothing. So headers are walked before
anything is read. They are structs of parquet.thrift.
"""

from collections.abc import Iterator
from operator import index
from typing import Any, BinaryIO, NamedTuple

from worker.quotes.readers.parquet.compact_protocol import CompactReader

_FIRST_BYTES = 1 << 10
_HEADER_BYTES_MAX = 1 << 20
"""Statistics of long values stand in headers, too."""

_DATA, _DICTIONARY, _DATA_V2 = 0, 2, 3
_DICTIONARY_ENCODINGS = frozenset({2, 8})
_DELTA_BYTE_ARRAY = 7


class Page(NamedTuple):
    """A page as its header has it: sizes are bytes, `values` count nulls too.

    `by_dictionary`: each value may be as long as one of the dictionary. `by_prefix`:
    each may be as long as the page.
    """

    is_dictionary: bool
    bytes: int
    compressed_bytes: int
    values: int
    by_dictionary: bool
    by_prefix: bool


def pages_of(
    stream: BinaryIO, first: int, size: int, values: int
) -> Iterator[tuple[Page, int]]:
    """The pages of a column that has so many values, each with where its data begins.

    Raises `ValueError` where a header cannot be read, or the stream of a size is over.
    """
    place = first
    while values > 0:
        if not 0 < place < size:
            raise ValueError("its pages do not lie in the file")
        fields, header_bytes = _header_at(stream, place)
        place += header_bytes
        page = _page_of(fields)
        if page.compressed_bytes > size - place:
            raise ValueError("its pages do not lie in the file")
        yield page, place
        place += page.compressed_bytes
        if not page.is_dictionary:
            values -= page.values


def _header_at(stream: BinaryIO, place: int) -> tuple[dict[int, Any], int]:
    """A header's fields, and how many bytes it takes."""
    for size in (_FIRST_BYTES, _HEADER_BYTES_MAX):
        stream.seek(place)
        data = stream.read(size)
        header = CompactReader(data)
        try:
            return header.struct(), header.place
        except IndexError:
            if len(data) < size:
                break
    raise ValueError("a page's header does not end")


def _page_of(fields: dict[int, Any]) -> Page:
    """A page as it matters: one of another kind holds no values."""
    try:
        kind, values, encoding = index(fields[1]), 0, None
        if kind == _DICTIONARY:
            values = index(fields[7][1])
        elif kind == _DATA:
            values, encoding = index(fields[5][1]), index(fields[5][2])
        elif kind == _DATA_V2:
            values, encoding = index(fields[8][1]), index(fields[8][4])
        page = Page(
            is_dictionary=kind == _DICTIONARY,
            bytes=index(fields[2]),
            compressed_bytes=index(fields[3]),
            values=values,
            by_dictionary=encoding in _DICTIONARY_ENCODINGS,
            by_prefix=encoding == _DELTA_BYTE_ARRAY,
        )
    except (LookupError, TypeError) as error:
        raise ValueError("a page's header lacks a field") from error
    if min(page.bytes, page.compressed_bytes, page.values) < 0:
        raise ValueError("a page of less than nothing")
    return page
