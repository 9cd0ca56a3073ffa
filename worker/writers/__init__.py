"""Export formats, one module each; a writer turns rows into bytes of a file.

A file is written in parts, one a batch, by different workers; sealing puts the head
before the parts, in the records' own order.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol


class Writer(Protocol):
    """One format."""

    extension: str
    """What the file's name ends with."""

    def head(self, columns: Sequence[str]) -> bytes:
        """What stands before the first part."""

    def part(self, rows: Iterable[Sequence[str]]) -> bytes:
        """Rows as a part; parts follow each other without anything between."""
