"""Input formats, one module each; a reader turns a stream of bytes into records."""

from collections.abc import Iterator
from dataclasses import dataclass

from worker.errors import Problem
from worker.records import Record


@dataclass(frozen=True, slots=True)
class Reading:
    """A file being read: its columns, and its rows as records or as their problems."""

    columns: tuple[str, ...]
    rows: Iterator[Record | list[Problem]]
