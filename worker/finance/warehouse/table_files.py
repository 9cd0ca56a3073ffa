"""Rows as CSV or Parquet, made piece by piece while they are sent."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from worker.exports.writers.delimited import PROFILES
from worker.finance.warehouse.period_rows import Rows
from worker.finance.warehouse.schema import Column, Type
from worker.infrastructure.clock import instant


class Pieces:
    """What was written since it was taken last."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self.closed = False

    def write(self, data: bytes, /) -> int:
        """Keep some more."""
        self._parts.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """As files have it."""

    def close(self) -> None:
        """As files have it."""
        self.closed = True

    def taken(self) -> bytes:
        """Take it."""
        parts, self._parts = self._parts, []
        return b"".join(parts)


def csv_pieces(columns: Sequence[Column], batches: Iterable[Rows]) -> Iterator[bytes]:
    """CSV to the letter: what is for programs is not kept from being a formula."""
    written = Pieces()
    with PROFILES["machine"].open(written, [column.name for column in columns]) as out:
        for rows in batches:
            out.add([[_cell(row[column.name]) for column in columns] for row in rows])
            yield written.taken()
    yield written.taken()


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return instant(value) or ""
    return str(value)


def parquet_pieces(
    columns: Sequence[Column], batches: Iterable[Rows]
) -> Iterator[bytes]:
    """Parquet with the types of the schema, a group of rows for each batch."""
    import pyarrow as pa  # type: ignore[import-untyped] # noqa: PLC0415 - half a second
    from pyarrow import parquet  # noqa: PLC0415 - the same

    types = {
        Type.INTEGER: pa.int64(),
        Type.TEXT: pa.string(),
        Type.INSTANT: pa.timestamp("us", tz="UTC"),
    }
    schema = pa.schema(
        [
            pa.field(column.name, types[column.type], nullable=column.is_optional)
            for column in columns
        ]
    )
    written = Pieces()
    with parquet.ParquetWriter(
        pa.PythonFile(written, mode="w"),
        schema,
        compression="zstd",
        memory_pool=pa.system_memory_pool(),
    ) as out:
        for rows in batches:
            cells = [[_value(row[column.name]) for row in rows] for column in columns]
            arrays = [
                pa.array(column, field.type)
                for column, field in zip(cells, schema, strict=True)
            ]
            out.write_table(pa.table(arrays, schema=schema))
            yield written.taken()
    yield written.taken()


def _value(value: Any) -> Any:  # noqa: ANN401 - a cell of any column
    return value.astimezone(UTC) if isinstance(value, datetime) else value
