"""JSON Lines: UTF-8, an object a line, every value the text that it is."""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from worker.exports.writers.writer import Target

# Made once: `json.dumps` with options makes one for each line.
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@contextmanager
def open_lines(target: Target, headings: Sequence[str]) -> Iterator["_Lines"]:
    """Open JSON Lines; a file without rows is empty."""
    yield _Lines(target, headings)


class _Lines:
    def __init__(self, target: Target, headings: Sequence[str]) -> None:
        self._target = target
        self._headings = headings

    def add(self, rows: Iterable[Sequence[str]]) -> None:
        """An object for each row."""
        self._target.write(encoded(self._headings, rows))


def encoded(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    """An object for each row."""
    lines = [_encode(dict(zip(headings, row, strict=True))) + "\n" for row in rows]
    return "".join(lines).encode()
