"""The formats that are read, by content type and by the end of a file's name."""

from typing import BinaryIO

from worker.quotes.readers import delimited, json_lines
from worker.quotes.readers.reader import Reader, Reading


def _parquet(stream: BinaryIO) -> Reading:
    from worker.quotes.readers import parquet  # noqa: PLC0415 - 30 MB that few processes need

    return parquet.read(stream)


BY_CONTENT_TYPE: dict[str, Reader] = {
    "text/csv": delimited.read,
    "application/x-ndjson": json_lines.read,
    "application/vnd.apache.parquet": _parquet,
}


BY_SUFFIX: dict[str, Reader] = {
    ".csv": delimited.read,
    ".jsonl": json_lines.read,
    ".ndjson": json_lines.read,
    ".parquet": _parquet,
}
"""By the end of a file's name, in lower case."""
