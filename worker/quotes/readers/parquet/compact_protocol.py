"""Thrift's compact protocol, which footers and headers of pages are written in.

pyarrow reads the same, but of a page it tells nothing, and of a damaged footer it may
end the process instead of raising.
"""

from typing import Any

_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = (
    range(1, 13)
)
_DEPTH_MAX = 12
_I64_BITS = 63
_LONG_LIST = 15
_STRUCTS_MAX = 100_000
"""More are no footer of fewer, larger row groups: each is an object."""


class CompactReader:
    """Reads structs as their fields by ids; an end too early is an `IndexError`.

    Raises `ValueError` where the data cannot be read, or promises too much.
    """

    def __init__(self, data: bytes, place: int = 0) -> None:
        self._data = data
        self._structs = 0
        self.place = place

    def struct(self, depth: int = 0) -> dict[int, Any]:
        """The next struct; its binary fields are bytes, those of lists are lists."""
        self._structs += 1
        if depth > _DEPTH_MAX:
            raise ValueError("it is nested too deeply")
        if self._structs > _STRUCTS_MAX:
            raise ValueError(f"it has more than {_STRUCTS_MAX} parts")
        fields: dict[int, Any] = {}
        field = 0
        while head := self._byte():
            kind = head & 15
            field = field + (head >> 4) if head >> 4 else self._number()
            if kind in {_TRUE, _FALSE}:
                fields[field] = kind == _TRUE
            else:
                fields[field] = self._value(kind, depth)
        return fields

    def _value(self, kind: int, depth: int) -> Any:  # noqa: ANN401 - as it is written
        if kind in {_I16, _I32, _I64}:
            return self._number()
        if kind == _BINARY:
            return self._bytes(self._varint())
        if kind == _STRUCT:
            return self.struct(depth + 1)
        if kind in {_LIST, _SET}:
            return self._list(depth)
        if kind in {_TRUE, _FALSE, _BYTE}:
            return self._byte()
        if kind == _DOUBLE:
            return self._bytes(8)
        raise ValueError("it cannot be read")  # No map stands in either.

    def _list(self, depth: int) -> list[Any]:
        head = self._byte()
        size, kind = head >> 4, head & 15
        if size == _LONG_LIST:
            size = self._varint()
        if size > len(self._data) - self.place:
            raise IndexError
        return [self._value(kind, depth) for _ in range(size)]

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
                raise ValueError("it cannot be read")

    def _number(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)

    def _bytes(self, count: int) -> bytes:
        first = self.place
        self.place += count
        if self.place > len(self._data):
            raise IndexError
        return self._data[first : self.place]
