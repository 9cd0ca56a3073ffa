"""The headers of a Parquet file's pages: what each would take when it is read.

A page is decompressed as a whole, and as large as its own header says, of which the
footer need not tell the truth and pyarrow tells nothing. So headers are walked before
anything is read. They are Thrift's compact protocol, as parquet.thrift has them.
"""

from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

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
        header = _Compact(data)
        try:
            return header.struct(), header.place
        except IndexError:
            if len(data) < size:
                break
    raise ValueError("a page's header does not end")


def _page_of(fields: dict[int, Any]) -> Page:
    """A page as it matters: one of another kind holds no values."""
    try:
        kind, uncompressed, compressed = fields[1], fields[2], fields[3]
        values, encoding = 0, None
        if kind == _DICTIONARY:
            values = fields[7][1]
        elif kind == _DATA:
            values, encoding = fields[5][1], fields[5][2]
        elif kind == _DATA_V2:
            values, encoding = fields[8][1], fields[8][4]
        if min(uncompressed, compressed, values) < 0:
            raise ValueError("a page of less than nothing")
    except (KeyError, TypeError) as error:
        raise ValueError("a page's header lacks a field") from error
    return Page(
        is_dictionary=kind == _DICTIONARY,
        bytes=uncompressed,
        compressed_bytes=compressed,
        values=values,
        by_dictionary=encoding in _DICTIONARY_ENCODINGS,
        by_prefix=encoding == _DELTA_BYTE_ARRAY,
    )


_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = (
    range(1, 13)
)
_DEPTH_MAX = 8
_I64_BITS = 63


class _Compact:
    """Reads Thrift's compact protocol; an end too early is an `IndexError`."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.place = 0

    def struct(self, depth: int = 0) -> dict[int, Any]:
        """The fields of a struct by their ids."""
        if depth > _DEPTH_MAX:
            raise ValueError("a page's header is nested too deeply")
        fields: dict[int, Any] = {}
        field = 0
        while head := self._byte():
            kind = head & 15
            field = field + (head >> 4) if head >> 4 else self._number()
            fields[field] = self._value(kind, depth)
        return fields

    def _value(self, kind: int, depth: int) -> Any:  # noqa: ANN401 - as it is written
        if kind in {_TRUE, _FALSE}:
            return kind == _TRUE
        if kind == _BYTE:
            return self._byte()
        if kind in {_I16, _I32, _I64}:
            return self._number()
        if kind == _DOUBLE:
            return self._skip(8)
        if kind == _BINARY:
            return self._skip(self._varint())
        if kind == _STRUCT:
            return self.struct(depth + 1)
        # Neither lists nor maps stand in these headers.
        raise ValueError("a page's header cannot be read")

    def _byte(self) -> int:
        value = self._data[self.place]
        self.place += 1
        return value

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte <= 127:  # noqa: PLR2004 - seven bits, and whether more follow
                return value
            shift += 7
            if shift > _I64_BITS:
                raise ValueError("a page's header cannot be read")

    def _number(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)

    def _skip(self, count: int) -> None:
        self.place += count
        if self.place > len(self._data):
            raise IndexError
