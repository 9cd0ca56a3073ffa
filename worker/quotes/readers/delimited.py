"""CSV: UTF-8, comma, one header line; `company_id` is required, all columns kept."""

import csv
import io
from collections.abc import Iterator
from contextlib import suppress
from typing import BinaryIO

from worker.infrastructure.errors import Problem, bad
from worker.quotes.readers.reader import Reading, Row, columns_of
from worker.quotes.readers.records import record_of

_CELL_CHARACTERS_MAX = 1 << 20


class _Text(io.TextIOWrapper):
    """A stream's text; the stream stays its owner's to close."""

    def close(self) -> None:
        with suppress(ValueError):  # let go before
            self.detach()


def read(stream: BinaryIO) -> Reading:
    """Read the header at once and the rows as they are asked for.

    Raises `BadInput` where the header cannot be used. What is not UTF-8 is found in
    its own row, so that a problem names line and field.
    """
    lines = _Text(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")
    csv.field_size_limit(_CELL_CHARACTERS_MAX)
    rows = csv.reader(lines, strict=True)
    try:
        header = next(rows, None)
    except csv.Error as error:
        raise bad(None, f"the header cannot be read: {error}", line=1) from error
    columns = _columns(header)
    return Reading(columns, _records(rows, columns))


def _columns(header: list[str] | None) -> tuple[str, ...]:
    if not header:
        raise bad(None, "the file is empty: a header line is missing", line=1)
    return columns_of(header, line=1)


def _records(
    rows: Iterator[list[str]],
    columns: tuple[str, ...],
) -> Iterator[Row]:
    number, line = 0, 2
    while True:
        try:
            row = next(rows, None)
        except csv.Error as error:
            # Where the row ends is not known after this: nothing below can be trusted.
            yield [Problem(line, None, f"the row cannot be read: {error}")]
            return
        if row is None:
            return
        if row:
            number += 1
            yield _record(number, line, row, columns)
        line = rows.line_num + 1  # type: ignore[attr-defined]


def _record(
    number: int,
    line: int,
    row: list[str],
    columns: tuple[str, ...],
) -> Row:
    if len(row) != len(columns):
        message = f"has {len(row)} fields, the header has {len(columns)}"
        return [Problem(line, None, message)]
    fields = dict(zip(columns, row, strict=True))
    return record_of(number, line, fields)
