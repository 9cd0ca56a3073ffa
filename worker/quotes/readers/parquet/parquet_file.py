"""Parquet: one plain column a field, read a thousand rows at a time.

A problem's line is its row, counted from 1. What values become is known to
`column_texts`; null becomes nothing.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO
from typing import Any, BinaryIO

import pyarrow as pa  # type: ignore[import-untyped]
from pyarrow import parquet

from worker.infrastructure.errors import Problem, bad
from worker.quotes.readers.bounds import BATCH_BYTES, RECORD_BYTES_MAX
from worker.quotes.readers.parquet.column_texts import Texts, TextsOf, texts_of
from worker.quotes.readers.parquet.row_groups import (
    RowGroup,
    footer_of,
    row_groups,
)
from worker.quotes.readers.parquet.spooled_columns import together
from worker.quotes.readers.reader import columns_of
from worker.quotes.readers.table import Noticed, Piece, ReadOptions, Table

# Arrow's own pools keep what was freed; the system's gives it back.
pa.set_memory_pool(pa.system_memory_pool())

_BUFFER_BYTES = 1 << 16
"""Columns are read through buffers of this size, not as a whole."""

_CANNOT = (pa.ArrowException, OSError, ValueError, MemoryError)
"""What pyarrow raises of a damaged file."""

_ARROW_SCHEMA = b"ARROW:schema"
_EXTENSION = b"ARROW:extension:name"


def table(stream: BinaryIO, options: ReadOptions) -> Table:  # noqa: ARG001 - nothing is left open
    """Read the columns at once and the rows as they are asked for.

    The stream must be one that can be sought, and stays its owner's to close. Raises
    `BadInput` where it holds no Parquet, a column cannot be used, or it promises more
    than may be held.
    """
    footer = footer_of(stream)
    try:
        return _table(stream, footer)
    except _CANNOT as error:
        raise bad(None, f"the file cannot be read as Parquet: {error}") from error


def _table(stream: BinaryIO, footer: bytes) -> Table:
    meant = parquet.ParquetFile(BytesIO(footer)).schema_arrow
    file = parquet.ParquetFile(
        stream,
        metadata=parquet.read_metadata(BytesIO(_as_stored(footer))),
        buffer_size=_BUFFER_BYTES,
        pre_buffer=False,
        memory_map=False,
        page_checksum_verification=True,
        # Nanoseconds would turn the year 9999 into another one, untold.
        coerce_int96_timestamp_unit="us",
    )
    stored = file.schema_arrow
    noticed = Noticed(format="parquet")
    places = _places(meant, noticed)
    names = columns_of([meant.names[place] for place in places], line=0)
    read_as = _read_as(stored, meant, places)
    groups = row_groups(stream, footer)
    rows = _Rows(file, names, read_as, noticed)
    return Table(names, 0, rows.pieces(groups), noticed)


def _as_stored(footer: bytes) -> bytes:
    """A footer that does not say what Arrow's writer had in memory.

    Dictionaries would be made again of columns that were some, each row group's as a
    whole, and bad UTF-8 in one would be nobody's row.
    """
    return footer.replace(_ARROW_SCHEMA, _ARROW_SCHEMA.swapcase())


def _places(schema: Any, noticed: Noticed) -> list[int]:  # noqa: ANN401 - pyarrow ships no types
    """The columns that are somebody's: pandas writes an index of its own."""
    own = _pandas_index(schema.metadata or {})
    noticed.left_out += [name for name in schema.names if name in own]
    return [at for at, name in enumerate(schema.names) if name not in own]


def _pandas_index(metadata: Mapping[bytes, bytes]) -> set[str]:
    try:
        index = json.loads(metadata[b"pandas"])["index_columns"]
    except (KeyError, ValueError, TypeError, RecursionError):
        return set()
    named = [name for name in index if isinstance(name, str)]
    return {name for name in named if name.startswith("__index_level_")}


def _read_as(stored: Any, meant: Any, places: Sequence[int]) -> list[TextsOf]:  # noqa: ANN401 - the same
    """How each column becomes texts. Raises `BadInput` where one does not."""
    # A writer that marks no text at all means its bytes to be text.
    unmarked = not any(pa.types.is_string(field.type) for field in stored)
    found = []
    for at in places:
        field, kind = meant.field(at), stored.field(at).type
        extension = (field.metadata or {}).get(_EXTENSION)
        texts = texts_of(kind, field.type, unmarked_bytes=unmarked)
        if texts is None or (extension is not None and not pa.types.is_string(kind)):
            held = extension.decode(errors="replace") if extension else field.type
            message = f"holds {held}; plain values are read, nothing nested, no bytes"
            raise bad(field.name, message)
        found.append(texts)
    return found


class _Rows:
    """The rows of a file, group by group: where one cannot be read, the next may."""

    def __init__(
        self,
        file: Any,  # noqa: ANN401 - the same
        names: tuple[str, ...],
        read_as: list[TextsOf],
        noticed: Noticed,
    ) -> None:
        self._file = file
        self._names = names
        self._read_as = read_as
        self._noticed = noticed

    def pieces(self, groups: Sequence[RowGroup]) -> Iterator[Piece]:
        """All rows; those that cannot be read are one problem, and told."""
        first = 1
        for place, group in enumerate(groups):
            at, end = first, first + group.rows
            try:
                for batch in self._batches(place, group):
                    yield self._piece(at, batch)
                    at += batch.num_rows
            except _CANNOT as error:
                yield self._unread(at, end, error)
            first = end

    def _batches(self, place: int, group: RowGroup) -> Iterator[Any]:
        if group.unreadable is not None:
            raise ValueError(group.unreadable)
        if group.by_column:
            columns = [self._columns(place, group, [name]) for name in self._names]
            batches = together(columns)
        else:
            batches = self._columns(place, group, self._names)
        for batch in batches:
            yield from _cut(batch)

    def _columns(
        self, place: int, group: RowGroup, names: Sequence[str]
    ) -> Iterator[Any]:
        batches: Iterator[Any] = self._file.iter_batches(
            batch_size=group.batch_rows,
            row_groups=[place],
            columns=names,
            # One thread: a second one would only hold more in memory.
            use_threads=False,
        )
        return batches

    def _piece(self, first: int, batch: Any) -> Piece:  # noqa: ANN401 - the same
        numbers = range(first, first + batch.num_rows)
        if batch.num_rows == 1 and batch.nbytes > RECORD_BYTES_MAX:
            message = f"is longer than {RECORD_BYTES_MAX >> 20} MiB"
            bad_row = {first: [Problem(first, None, message)]}
            return Piece(self._names, [[] for _ in self._names], (), (), bad_row)
        texts = [
            read(column) for read, column in zip(self._read_as, batch, strict=True)
        ]
        return _with_problems(self._names, texts, numbers)

    def _unread(self, first: int, end: int, error: Exception) -> Piece:
        which = f"rows {first} to {end - 1}" if end > first + 1 else f"row {first}"
        self._noticed.unread.append(f"{which} ({end - first} of them): {error}")
        message = f"the rows cannot be read, up to row {end - 1}: {error}"
        bad_row = {first: [Problem(first, None, message)]}
        return Piece(self._names, [[] for _ in self._names], (), (), bad_row)


def _cut(batch: Any) -> Iterator[Any]:  # noqa: ANN401 - the same
    """A batch in parts that are no larger than they may be, or one row."""
    if batch.num_rows <= 1 or batch.nbytes <= BATCH_BYTES:
        if batch.num_rows:
            yield batch
        return
    half = batch.num_rows // 2
    yield from _cut(batch.slice(0, half))
    yield from _cut(batch.slice(half))


def _with_problems(
    names: tuple[str, ...], texts: Sequence[Texts], numbers: range
) -> Piece:
    """Columns as a piece, without the rows that have a cell which cannot be read."""
    columns: Sequence[Sequence[str]] = [one.cells for one in texts]
    unfit = {
        name: dict(one.unfit_ids)
        for name, one in zip(names, texts, strict=True)
        if one.unfit_ids
    }
    bad_rows: dict[int, list[Problem]] = {}
    for name, one in zip(names, texts, strict=True):
        for at, message in one.unreadable.items():
            number = numbers[at]
            bad_rows.setdefault(number, []).append(Problem(number, name, message))
    if not bad_rows:
        return Piece(names, columns, numbers, numbers, {}, unfit)
    good = [at for at, number in enumerate(numbers) if number not in bad_rows]
    columns = [[cells[at] for at in good] for cells in columns]
    unfit = {
        name: {place: found[at] for place, at in enumerate(good) if at in found}
        for name, found in unfit.items()
    }
    kept = [numbers[at] for at in good]
    return Piece(names, columns, kept, kept, bad_rows, unfit)
