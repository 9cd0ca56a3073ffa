"""CSV as people have it: in most encodings, with most delimiters; a header line first.

Its rows are read by pieces of some hundred. Once one cannot be read, or they are very
long, the rest is read row by row, which costs more and holds less.
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import accumulate, islice
from typing import BinaryIO, NamedTuple

from worker.infrastructure.errors import bad
from worker.quotes.readers.bounds import CELL_BYTES_MAX
from worker.quotes.readers.csv_dialects.careful_rows import careful_rows
from worker.quotes.readers.csv_dialects.dialect import Dialect, dialect_of
from worker.quotes.readers.csv_dialects.row_block import Header, RowBlock, header_of
from worker.quotes.readers.csv_dialects.text_encoding import TextEncoding, encoding_of
from worker.quotes.readers.own_files import own_delimiter, restored_table
from worker.quotes.readers.table import ROWS, Noticed, Piece, ReadOptions, Table

_PIECE_ROWS = 250
"""Rows become columns so many at a time: while they are in the processor's caches."""

_PIECE_BYTES_MAX = 2 << 20
_BLOCK_BYTES = 1 << 20
"""What was gathered is handed on once it is so large."""

_SAMPLE = 1 << 15
_BEGINNING_BYTES = 1 << 20
"""What a header line can be at most."""

_END = re.compile(r"\r\n|\r|\n")
"""What ends a line, also within a cell."""


class _Text(io.TextIOWrapper):
    """A stream's text; the stream stays its owner's to close."""

    def close(self) -> None:
        with suppress(ValueError):  # let go before
            self.detach()


class _Source(NamedTuple):
    """A stream, and how it is written."""

    stream: BinaryIO
    encoding: TextEncoding
    dialect: Dialect

    def text(self, line: int) -> _Text:
        """Its text from a line on."""
        text = _opened(self.stream, self.encoding)
        _skip(text, line - 1)
        return text


def table(stream: BinaryIO, options: ReadOptions) -> Table:
    """Read the header at once and the rows as they are asked for.

    In a file that was exported for spreadsheets, what kept its cells texts is undone.
    The rest as `_table` has it.
    """
    stream.seek(0)
    own = own_delimiter(stream.read(_BEGINNING_BYTES))
    if own is None:
        return _table(stream, options)
    said = replace(options, delimiter=own, encoding="utf-8", quote=None)
    return restored_table(_table(stream, said))


def _table(stream: BinaryIO, options: ReadOptions) -> Table:
    """Read the header at once and the rows as they are asked for.

    The stream must be one that can be sought. Raises `BadInput` where its encoding or
    delimiter is not clear, or the header cannot be used. What is broken in UTF-8 is
    found in its own row, so that a problem names line and field.
    """
    encoding = encoding_of(stream, options.encoding)
    source = _Source(stream, encoding, dialect_of(_sample(stream, encoding), options))
    csv.field_size_limit(CELL_BYTES_MAX)
    line = source.dialect.header_line
    rows = _FastRows(source, line)
    try:
        cells = next(rows.reader, [])
    except (csv.Error, _TooLong) as error:
        raise bad(None, f"the header cannot be read: {error}", line=line) from error
    header = header_of(cells, line)
    noticed = Noticed(
        format="csv",
        encoding=encoding.name,
        delimiter=source.dialect.delimiter,
        quote=source.dialect.quote,
        empty_rows=source.dialect.skipped,
        empty_columns=len(header.unnamed),
    )
    pieces = _pieces(source, rows, header, noticed)
    return Table(header.names, line, pieces, noticed)


def _opened(stream: BinaryIO, encoding: TextEncoding) -> _Text:
    stream.seek(0)
    return _Text(stream, encoding.codec, encoding.errors, newline="")


def _skip(text: io.TextIOBase, lines: int) -> None:
    for _ in range(lines):
        text.readline()


def _sample(stream: BinaryIO, encoding: TextEncoding) -> str:
    """The first lines, as whole as they are."""
    with _opened(stream, encoding) as text:
        sample = text.read(_SAMPLE)
    if len(sample) < _SAMPLE:
        return sample
    end = max(map(sample.rfind, "\r\n"))
    return sample[: end + 1] if end >= 0 else sample


class _TooLong(Exception):
    """The rows of one piece are longer than it may be."""


class _Metered(io.BufferedIOBase):
    """A stream that gives so much for one piece, and no more."""

    name = "records"

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.given = 0

    def readable(self) -> bool:
        """It can be read."""
        return True

    def read1(self, size: int = -1) -> bytes:
        """Some bytes. Raises `_TooLong` where a piece was given too many."""
        data = self._stream.read(size)
        self.given += len(data)
        if self.given > _PIECE_BYTES_MAX:
            raise _TooLong("it is too long")
        return data


class _FastRows:
    """The csv module's rows, as long as they are read the fast way."""

    def __init__(self, source: _Source, line: int) -> None:
        self._stream = _Metered(source.stream)
        self._lines_before = line - 1
        source.stream.seek(0)
        encoding, dialect = source.encoding, source.dialect
        text = _Text(self._stream, encoding.codec, encoding.errors, newline="")
        _skip(text, line - 1)
        self.reader = csv.reader(
            text, delimiter=dialect.delimiter, quotechar=dialect.quote, strict=True
        )

    @property
    def line(self) -> int:
        """The last line that was read."""
        return self._lines_before + self.reader.line_num

    @property
    def given(self) -> int:
        """How many bytes the last rows took, or a little more."""
        return self._stream.given

    def into(self, piece: list[list[str]]) -> bool:
        """Add some rows to a piece; whether the fast way goes on behind them."""
        self._stream.given = 0
        try:
            # What was read before an error stays in it.
            piece.extend(islice(self.reader, _PIECE_ROWS))
        except (csv.Error, _TooLong):
            return False
        return True


def _pieces(
    source: _Source, rows: _FastRows, header: Header, noticed: Noticed
) -> Iterator[Piece]:
    block, gathered = RowBlock(header, noticed), 0
    goes_on, line = True, rows.line + 1
    while goes_on:
        piece: list[list[str]] = []
        goes_on = rows.into(piece)
        if goes_on and not piece:
            break
        if len(block) >= ROWS or gathered >= _BLOCK_BYTES:
            yield block.taken()
            gathered = 0
        lines, line = _lines(piece, line, rows.line)
        block.add(piece, lines)
        gathered += rows.given
    if goes_on and not source.encoding.ends_whole:
        block.end_unended()
    if len(block):
        yield block.taken()
    if not goes_on:
        yield from _careful_pieces(source, line, block, noticed, header.width)


def _careful_pieces(
    source: _Source, line: int, block: RowBlock, noticed: Noticed, width: int
) -> Iterator[Piece]:
    """The rest of the rows from a line on."""
    text, gathered = source.text(line), 0
    for row in careful_rows(text, source.dialect, line, width, noticed.unread):
        if row.problem is None:
            block.add([row.cells], [row.line])
        else:
            block.add_bad(row.problem)
        gathered += row.characters
        if len(block) >= ROWS or gathered >= _BLOCK_BYTES:
            yield block.taken()
            gathered = 0
    if len(block):
        yield block.taken()


def _lines(block: list[list[str]], first: int, last: int) -> tuple[Sequence[int], int]:
    """On which lines some rows begin, and on which the next one does."""
    if last == first + len(block) - 1:
        return range(first, first + len(block)), first + len(block)
    ends = [1 + sum(len(_END.findall(cell)) for cell in row) for row in block]
    begins = list(accumulate(ends, initial=first))
    return begins[:-1], begins[-1]
