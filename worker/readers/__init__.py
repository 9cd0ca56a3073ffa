"""Input formats, one module each; a reader turns a stream of bytes into records."""

from typing import BinaryIO

from worker.readers import delimited, lines
from worker.readers.reading import Reader, Reading, Row


def _parquet(stream: BinaryIO) -> Reading:
    from worker.readers import parquet  # noqa: PLC0415 - 30 MB that few processes need

    return parquet.read(stream)


BY_CONTENT_TYPE: dict[str, Reader] = {
    "text/csv": delimited.read,
    "application/x-ndjson": lines.read,
    "application/vnd.apache.parquet": _parquet,
}

BY_SUFFIX: dict[str, Reader] = {
    ".csv": delimited.read,
    ".jsonl": lines.read,
    ".ndjson": lines.read,
    ".parquet": _parquet,
}
"""By the end of a file's name, in lower case."""

__all__ = ["BY_CONTENT_TYPE", "BY_SUFFIX", "Reader", "Reading", "Row"]
