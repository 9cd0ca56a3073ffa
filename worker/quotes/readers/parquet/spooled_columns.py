"""Columns that cannot all be held at once, read one after the other and put together.

Some writers make one page of a column's whole row group, and pyarrow holds a page of
each column while it reads rows. So each column lies in a file of its own meanwhile.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from tempfile import TemporaryFile
from typing import IO, Any

import pyarrow as pa  # type: ignore[import-untyped]

_SPOOLED_BYTES_MAX = 1 << 30
"""What the columns of one row group may take on the disk."""


def together(columns: Sequence[Iterator[Any]]) -> Iterator[Any]:
    """Batches of columns, each of which is read when its turn comes.

    Raises `ValueError` where they are too large, and what reading them raises.
    """
    with ExitStack() as stack:
        left = _SPOOLED_BYTES_MAX
        spools = []
        for batches in columns:
            spool = stack.enter_context(TemporaryFile())
            left -= _spooled(batches, spool, left)
            spools.append(pa.ipc.open_stream(spool))
        for parts in zip(*spools, strict=True):
            arrays = [part.column(0) for part in parts]
            names = [part.schema.names[0] for part in parts]
            yield pa.RecordBatch.from_arrays(arrays, names)


def _spooled(batches: Iterator[Any], spool: IO[bytes], bytes_max: int) -> int:
    """Write a column's batches, and say how many bytes they take."""
    first = next(batches)
    with pa.ipc.new_stream(spool, first.schema) as out:
        out.write_batch(first)
        for batch in batches:
            out.write_batch(batch)
            if spool.tell() > bytes_max:
                message = f"takes more than {_SPOOLED_BYTES_MAX >> 30} GiB"
                raise ValueError(f"the row group {message}: write smaller ones")
    size = spool.tell()
    spool.seek(0)
    return size
