"""The formats that are read, by content type and by the end of a file's name."""

from collections.abc import Callable
from typing import BinaryIO, NamedTuple

from worker.quotes.readers import delimited, json_lines
from worker.quotes.readers.column_mapping import USUAL, ColumnMapping
from worker.quotes.readers.mapped_records import records_in
from worker.quotes.readers.reader import Reading
from worker.quotes.readers.table import UNTOLD, ReadOptions, Table


class Format(NamedTuple):
    """How files of one kind are recognised and read."""

    content_type: str
    suffixes: tuple[str, ...]
    table: Callable[[BinaryIO, ReadOptions], Table]

    def read(
        self,
        stream: BinaryIO,
        mapping: ColumnMapping = USUAL,
        options: ReadOptions = UNTOLD,
    ) -> Reading:
        """The records of a stream that can be sought; it stays its owner's to close.

        Raises `BadInput` where there is no such table, or it lacks a column.
        """
        return records_in(self.table(stream, options), mapping)


def _parquet(stream: BinaryIO, options: ReadOptions) -> Table:
    from worker.quotes.readers.parquet import parquet_file  # noqa: PLC0415 - 30 MB that few processes need

    return parquet_file.table(stream, options)


CSV = Format("text/csv", (".csv",), delimited.table)
JSON_LINES = Format("application/x-ndjson", (".jsonl", ".ndjson"), json_lines.table)
PARQUET = Format("application/vnd.apache.parquet", (".parquet",), _parquet)

_ALL = (CSV, JSON_LINES, PARQUET)

BY_CONTENT_TYPE: dict[str, Format] = {one.content_type: one for one in _ALL}

BY_SUFFIX: dict[str, Format] = {end: one for one in _ALL for end in one.suffixes}
"""By the end of a file's name, in lower case."""
