"""JSON Lines: UTF-8, an object a line; blank lines are no records.

Numbers keep the digits that they were written with. Of a name that one object has
twice the last counts, as everywhere in JSON.
"""

import json
from collections.abc import Iterator
from typing import BinaryIO

from worker.infrastructure.errors import Problem
from worker.quotes.readers.json_objects import Numbered, table_of
from worker.quotes.readers.table import ReadOptions, Table

_LINE_BYTES_MAX = 8 << 20
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def table(stream: BinaryIO, options: ReadOptions) -> Table:  # noqa: ARG001 - nothing is left open
    """Read the objects as they are asked for; the stream stays its owner's to close."""
    return table_of(_values(stream), kind="jsonl")


def _values(stream: BinaryIO) -> Iterator[Numbered]:
    number = 0
    for line, data in enumerate(_lines(stream), start=1):
        if line == 1:
            data = data.removeprefix(_BYTE_ORDER_MARK)  # noqa: PLW2901 - no part of it
        if data.isspace() or not data:
            continue
        number += 1
        yield number, line, _parsed(line, data)


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    """Lines, each held up to one byte more than may be."""
    while data := stream.readline(_LINE_BYTES_MAX + 1):
        yield data
        while len(data) > _LINE_BYTES_MAX and not data.endswith(b"\n"):
            data = stream.readline(_LINE_BYTES_MAX + 1)


def _parsed(line: int, data: bytes) -> object:
    if len(data) > _LINE_BYTES_MAX:
        return Problem(line, None, f"is longer than {_LINE_BYTES_MAX >> 20} MiB")
    try:
        return _DECODE(data.decode())
    except UnicodeDecodeError:
        return Problem(line, None, "is not valid UTF-8")
    except RecursionError:
        return Problem(line, None, "is nested too deeply")
    except ValueError as error:
        return Problem(line, None, f"is not JSON: {error}")


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is no number")


_DECODE = json.JSONDecoder(
    # A number that is written as 1.50 or has 30 digits stays as it is.
    parse_float=str,
    parse_int=str,
    parse_constant=_refuse,
).decode
