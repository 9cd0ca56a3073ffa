"""JSON Lines: UTF-8, an object a line; blank lines are no records.

Numbers keep the digits that they were written with. Of a name that one object has
twice the last counts, as everywhere in JSON.
"""

import json
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import BinaryIO

import orjson

from worker.infrastructure.errors import Problem
from worker.quotes.readers.bounds import BATCH_BYTES, RECORD_BYTES_MAX
from worker.quotes.readers.json_objects import BATCH_ROWS, Batch, table_of
from worker.quotes.readers.table import ReadOptions, Table

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_BLANKS = " \t\r\n"


def table(stream: BinaryIO, options: ReadOptions) -> Table:  # noqa: ARG001 - nothing is left open
    """Read the objects as they are asked for; the stream stays its owner's to close."""
    return table_of(_batches(stream), kind="jsonl")


def _batches(stream: BinaryIO) -> Iterator[Batch]:
    parser = _Parser()
    number = 1
    lines: list[int] = []
    held: list[bytes] = []
    size = 0
    for line, data in enumerate(_lines(stream), start=1):
        if line == 1:
            data = data.removeprefix(_BYTE_ORDER_MARK)  # noqa: PLW2901 - no part of it
        if data.isspace() or not data:
            continue
        lines.append(line)
        held.append(data)
        size += len(data)
        if len(lines) == BATCH_ROWS or size >= BATCH_BYTES:
            yield Batch(_from(number, lines), lines, parser.parsed(lines, held), size)
            number += len(lines)
            lines, held, size = [], [], 0
    if lines:
        yield Batch(_from(number, lines), lines, parser.parsed(lines, held), size)


def _from(number: int, lines: Sequence[int]) -> range:
    return range(number, number + len(lines))


class _Parser:
    """Parses some lines at a time, and quickly where no digit can be lost.

    Of a fraction the quick way knows its value alone, `1.50` from `1.5` no more. It is
    left for a while where there are some, and wherever it stumbles: the other knows
    what to say.
    """

    def __init__(self) -> None:
        self._exactly = 0

    def parsed(self, lines: Sequence[int], held: Sequence[bytes]) -> list[object]:
        """The value of each line, or the problem with it."""
        if self._exactly:
            self._exactly -= 1
        else:
            values = _quickly(held)
            if values is not None:
                return values
            self._exactly = _EXACT_BATCHES
        return [_parsed(line, data) for line, data in zip(lines, held, strict=True)]


_EXACT_BATCHES = 100
_NEGATIVE_ZERO = (b":-0", b" -0", b"\t-0")
_KEPT = frozenset({str, int, bool, type(None)})


def _quickly(held: Sequence[bytes]) -> list[object] | None:
    """Flat objects without fractions; None where one may be something else."""
    try:
        values = list(map(orjson.loads, held))
    except orjson.JSONDecodeError:
        return None
    if set(map(type, values)) != {dict}:
        return None
    kinds = set(map(type, chain.from_iterable(map(dict.values, values))))
    if not kinds <= _KEPT:
        return None
    if int in kinds:
        together = b"".join(held)
        if any(zero in together for zero in _NEGATIVE_ZERO):
            return None  # It would lose its sign.
    return values


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    """Lines, each held up to one byte more than may be."""
    while data := stream.readline(RECORD_BYTES_MAX + 1):
        yield data
        while len(data) > RECORD_BYTES_MAX and not data.endswith(b"\n"):
            data = stream.readline(RECORD_BYTES_MAX + 1)


def _parsed(line: int, data: bytes) -> object:
    if len(data) > RECORD_BYTES_MAX:
        return Problem(line, None, f"is longer than {RECORD_BYTES_MAX >> 20} MiB")
    try:
        text = data.decode().strip(_BLANKS)
        value, end = _DECODER.raw_decode(text)
    except UnicodeDecodeError:
        return Problem(line, None, "is not valid UTF-8")
    except RecursionError:
        return Problem(line, None, "is nested too deeply")
    except ValueError as error:
        return Problem(line, None, f"is not JSON: {error}")
    if end < len(text):
        message = f"is not JSON: Extra data: column {end + 1}"
        return Problem(line, None, message)
    return value


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is no number")


_DECODER = json.JSONDecoder(
    # A number that is written as 1.50 or has 30 digits stays as it is.
    parse_float=str,
    parse_int=str,
    parse_constant=_refuse,
)
