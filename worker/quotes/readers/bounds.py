"""What any file may cost while it is read: the same in every format.

A record is held as a whole, and so are some thousand of them: what one cell, one record
and one batch may take is what a process grows by. They are bytes of UTF-8, of what was
decompressed.
"""

from collections.abc import Collection, Iterable, Sequence
from itertools import chain

CELL_BYTES_MAX = 1 << 20
RECORD_BYTES_MAX = 8 << 20

BATCH_BYTES = 4 << 20
"""A reader hands on what it has once it has so much: a record more is the most."""

HELD_BYTES_MAX = 32 << 20
"""What a format lets a reader hold at once besides, such as pages of columns."""


def bytes_of(text: str) -> int:
    """How many bytes a text takes, also where parts of it were no UTF-8."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def cell_problem(cell: str) -> str | None:
    """Why a cell is too large to be read, in words; None where it is not."""
    # A character has at most four bytes, so most need not be counted.
    if len(cell) <= CELL_BYTES_MAX >> 2 or bytes_of(cell) <= CELL_BYTES_MAX:
        return None
    return f"is longer than {CELL_BYTES_MAX >> 20} MiB"


def record_problem(cells: Collection[str]) -> str | None:
    """Why a record is too large to be read, in words; None where it is not."""
    few = sum(map(len, cells)) <= RECORD_BYTES_MAX >> 2
    if few or sum(map(bytes_of, cells)) <= RECORD_BYTES_MAX:
        return None
    return f"is longer than {RECORD_BYTES_MAX >> 20} MiB"


def characters_of(columns: Iterable[Sequence[str]]) -> int:
    """How many characters stand in some columns."""
    return sum(map(len, chain.from_iterable(columns)))
