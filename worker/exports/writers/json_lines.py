"""JSON Lines: UTF-8, an object a line, every value the text that it is, or null."""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from worker.exports.writers.writer import Target

# Made once: `json.dumps` with options makes one for each line.
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@contextmanager
def open_lines(
    target: Target, headings: Sequence[str], *, nulls: bool = False
) -> Iterator["_Lines"]:
    """Open JSON Lines; a file without rows is empty. See `encoded` for `nulls`."""
    yield _Lines(target, headings, nulls=nulls)


class _Lines:
    def __init__(self, target: Target, headings: Sequence[str], *, nulls: bool) -> None:
        self._target = target
        self._headings = headings
        self._nulls = nulls

    def add(self, rows: Iterable[Sequence[str]]) -> None:
        """An object for each row."""
        self._target.write(encoded(self._headings, rows, nulls=self._nulls))


def encoded(
    headings: Sequence[str], rows: Iterable[Sequence[str]], *, nulls: bool = False
) -> bytes:
    """An object for each row; with `nulls` what is empty is null."""
    values: Iterable[Sequence[str | None]] = rows
    if nulls:
        values = ([cell or None for cell in row] for row in rows)
    lines = [_encode(dict(zip(headings, row, strict=True))) + "\n" for row in values]
    return "".join(lines).encode()
