"""Parquet: one plain column a field, read a thousand rows at a time.

A problem's line is its row, counted from 1. Numbers, booleans and instants become
text as Arrow writes them; null becomes nothing.
"""

from collections.abc import Iterator
from typing import Any, BinaryIO

import pyarrow as pa  # type: ignore[import-untyped]
from pyarrow import parquet

from worker.infrastructure.errors import Problem, bad
from worker.quotes.readers.reader import columns_of
from worker.quotes.readers.table import ROWS, Noticed, Piece, ReadOptions, Table

# Arrow's own pools keep what was freed; the system's gives it back.
pa.set_memory_pool(pa.system_memory_pool())

_BUFFER_BYTES = 1 << 16
"""Columns are read through buffers of this size, not as a whole."""


def table(stream: BinaryIO, options: ReadOptions) -> Table:  # noqa: ARG001 - nothing is left open
    """Read the columns at once and the rows as they are asked for.

    The stream must be one that can be sought, and stays its owner's to close. Raises
    `BadInput` where it holds no Parquet or a column cannot be used.
    """
    try:
        file = parquet.ParquetFile(
            stream, buffer_size=_BUFFER_BYTES, pre_buffer=False, memory_map=False
        )
        schema = file.schema_arrow
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise bad(None, f"the file cannot be read as Parquet: {error}") from error
    columns = columns_of(schema.names, line=0)
    for field in schema:
        if not _is_plain(field.type):
            message = f"holds {field.type}; plain values are read, nothing nested"
            raise bad(field.name, message)
    return Table(columns, 0, _pieces(file, columns), Noticed(format="parquet"))


def _is_plain(kind: Any) -> bool:  # noqa: ANN401 - pyarrow ships no types
    binary = pa.types.is_binary(kind) or pa.types.is_large_binary(kind)
    return not (pa.types.is_nested(kind) or binary)


def _pieces(file: Any, names: tuple[str, ...]) -> Iterator[Piece]:  # noqa: ANN401 - the same
    number = 1
    # One thread: a second one would only hold more in memory.
    batches = file.iter_batches(batch_size=ROWS, use_threads=False)
    while True:
        try:
            batch = next(batches, None)
            cells = [] if batch is None else [_texts(column) for column in batch]
        except (pa.ArrowException, OSError) as error:
            # What is not read now is not read later: nothing below can be trusted.
            message = f"the rows cannot be read: {error}"
            bad_row = {number: [Problem(number, None, message)]}
            yield Piece(names, [[] for _ in names], (), (), bad_row)
            return
        if batch is None:
            return
        numbers = range(number, number + batch.num_rows)
        number += batch.num_rows
        if numbers:
            yield Piece(names, cells, numbers, numbers, {})


def _texts(column: Any) -> list[str]:  # noqa: ANN401 - the same
    """A column's values as text."""
    texts = column.cast(pa.large_string()).fill_null("")
    try:
        found: list[str] = texts.to_pylist()
    except UnicodeDecodeError:
        # Read as it is, so that a problem names its row and field.
        return [
            data.decode("utf-8", "surrogateescape")
            for data in texts.cast(pa.large_binary()).to_pylist()
        ]
    return found
