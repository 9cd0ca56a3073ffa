"""The formats that are read, by content type and by the end of a file's name."""

from collections.abc import Callable
from dataclasses import replace
from typing import BinaryIO, NamedTuple

from worker.infrastructure.errors import bad
from worker.quotes.readers import delimited, json_lines
from worker.quotes.readers.column_mapping import USUAL, ColumnMapping
from worker.quotes.readers.files.compression import opened
from worker.quotes.readers.files.signatures import Kind, kind_of
from worker.quotes.readers.mapped_records import records_in
from worker.quotes.readers.reader import Reading
from worker.quotes.readers.spreadsheets import workbook
from worker.quotes.readers.table import UNTOLD, ReadOptions, Table


class Format(NamedTuple):
    """How files of some kinds are recognised and read; `content_type` is its first."""

    content_types: tuple[str, ...]
    suffixes: tuple[str, ...]
    kinds: frozenset[Kind]
    reader: Callable[[BinaryIO, ReadOptions], Table]

    @property
    def content_type(self) -> str:
        """What such a file is best sent as."""
        return self.content_types[0]

    def table(self, stream: BinaryIO, options: ReadOptions = UNTOLD) -> Table:
        """The table of a stream that can be sought; it stays its owner's to close.

        What is compressed is decompressed first. Raises `BadInput` where the file is
        of another kind, or there is no such table in it.
        """
        inner = opened(stream, options.compression, options.decoded_bytes_max)
        kind = kind_of(inner.stream)
        if kind not in self.kinds:
            raise bad(None, _of_another_kind(kind, self.content_type))
        table = self.reader(inner.stream, options)
        table.noticed.compression = inner.compression
        return table

    def read(
        self,
        stream: BinaryIO,
        mapping: ColumnMapping = USUAL,
        options: ReadOptions = UNTOLD,
    ) -> Reading:
        """The records of a stream, as `table` has them.

        Raises `BadInput` where there is no such table, or it lacks a column.
        """
        return records_in(self.table(stream, options), mapping)


def _parquet(stream: BinaryIO, options: ReadOptions) -> Table:
    from worker.quotes.readers.parquet import parquet_file  # noqa: PLC0415 - 30 MB that few processes need

    return parquet_file.table(stream, options)


def _tab_separated(stream: BinaryIO, options: ReadOptions) -> Table:
    return delimited.table(
        stream, replace(options, delimiter=options.delimiter or "tab")
    )


def _recognised(stream: BinaryIO, options: ReadOptions) -> Table:
    """A file whose kind nobody declared."""
    kind = kind_of(stream)
    for one in (CSV, JSON_LINES, PARQUET, XLSX):
        if kind in one.kinds:
            return one.reader(stream, options)
    raise bad(None, _of_another_kind(kind, ""))


# What is damaged may be taken for text.
_TEXTS = frozenset({Kind.TEXT, Kind.EMPTY})
_WORKBOOKS = frozenset({Kind.XLSX, Kind.XLSB, Kind.XLS, Kind.ODS})

CSV = Format(("text/csv",), (".csv",), _TEXTS, delimited.table)
_TSV = Format(("text/tab-separated-values",), (".tsv", ".tab"), _TEXTS, _tab_separated)
JSON_LINES = Format(
    ("application/x-ndjson", "application/jsonl"),
    (".jsonl", ".ndjson"),
    _TEXTS | {Kind.JSON},
    json_lines.table,
)
PARQUET = Format(
    ("application/vnd.apache.parquet",),
    (".parquet",),
    _TEXTS | {Kind.PARQUET},
    _parquet,
)
XLSX = Format(
    (
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "application/vnd.ms-excel.sheet.macroenabled.12",
        "application/vnd.ms-excel.sheet.binary.macroenabled.12",
        "application/vnd.oasis.opendocument.spreadsheet",
    ),
    (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods"),
    _WORKBOOKS,
    workbook.table,
)
ANY = Format(
    (
        "application/octet-stream",
        # What Windows says of a CSV too, once Excel is installed.
        "application/vnd.ms-excel",
        *("application/gzip", "application/zstd", "application/zip"),
        *("application/x-gzip", "application/x-zip-compressed", "text/plain"),
    ),
    (".gz", ".zst", ".zip", ".txt"),
    frozenset(Kind),
    _recognised,
)

_ALL = (CSV, _TSV, JSON_LINES, PARQUET, XLSX, ANY)

BY_CONTENT_TYPE: dict[str, Format] = {
    name: one for one in _ALL for name in one.content_types
}

BY_SUFFIX: dict[str, Format] = {end: one for one in _ALL for end in one.suffixes}
"""By the end of a file's name, in lower case."""


def _of_another_kind(kind: Kind, declared: str) -> str:
    """What a file is, and what to do about it."""
    if kind is Kind.EMPTY:
        return "the file is empty"
    fitting = [one for one in (CSV, JSON_LINES, PARQUET, XLSX) if kind in one.kinds]
    if fitting:
        right = fitting[0].content_type
        return f"the file is {kind} and not {declared}: send it as {right}"
    return f"the file is {kind}, which is not read: save it as CSV or XLSX"
