"""Parquet: a column of texts, or nulls, for each heading, zstd, in groups of rows."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]
from pyarrow import parquet

from worker.exports.writers.writer import Stream, Target

_GROUP_ROWS = 10_000
_GROUP_BYTES = 32 << 20
_CELL_BYTES = 50
"""About what Python needs for a text besides its characters."""


@contextmanager
def open_parquet(
    target: Target, headings: Sequence[str], *, nulls: bool = False
) -> Iterator["_Groups"]:
    """Open a Parquet file; with `nulls` what is empty is null."""
    stream = Stream(target)
    schema = pa.schema([(name, pa.string()) for name in headings])
    out = parquet.ParquetWriter(
        stream, schema, compression="zstd", memory_pool=pa.system_memory_pool()
    )
    try:
        groups = _Groups(out, schema, stream, nulls=nulls)
        yield groups
        groups.flush()
        out.close()
        stream.check()
    except BaseException:
        # It writes its footer as it dies.
        stream.abandon()
        out.close()
        raise


class _Groups:
    """Gathers rows into groups; where one ends depends on the rows alone."""

    def __init__(
        self,
        out: Any,  # noqa: ANN401 - pyarrow ships no types
        schema: Any,  # noqa: ANN401 - the same
        stream: Stream,
        *,
        nulls: bool,
    ) -> None:
        self._out = out
        self._schema = schema
        self._stream = stream
        self._nulls = nulls
        self._rows: list[Sequence[str]] = []
        self._bytes = 0

    def add(self, rows: Iterable[Sequence[str]]) -> None:
        """Hold rows until they are a group."""
        for row in rows:
            self._rows.append(row)
            self._bytes += sum(map(len, row)) + _CELL_BYTES * len(row)
            if len(self._rows) == _GROUP_ROWS or self._bytes >= _GROUP_BYTES:
                self.flush()

    def flush(self) -> None:
        """Write the group that is held."""
        if not self._rows:
            return
        columns = zip(*self._rows, strict=True)
        arrays = [pa.array(self._values(cells), pa.string()) for cells in columns]
        self._out.write_table(pa.table(arrays, schema=self._schema))
        self._stream.check()
        self._rows.clear()
        self._bytes = 0

    def _values(self, cells: Sequence[str]) -> Sequence[str | None]:
        return [cell or None for cell in cells] if self._nulls else cells
