"""What a file shows before its columns are mapped: its names and its first rows."""

from collections.abc import Sequence
from dataclasses import dataclass

from worker.infrastructure.errors import Problem
from worker.quotes.problems import PROBLEMS_MAX
from worker.quotes.readers.column_mapping import folded
from worker.quotes.readers.table import Noticed, Piece, Table

ROWS_SHOWN = 20
_ROWS_SEEN = 1_000
_CELLS_SEEN = 100_000
"""So many are looked at for what a column holds."""
_CELL_CHARACTERS = 200
"""A cell is shown as far as this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """The columns of a file and its first rows as texts, cut where they are long.

    `problems` are those of the rows looked at that cannot be read at all.
    """

    names: tuple[str, ...]
    rows: Sequence[Sequence[str]]
    noticed: Noticed
    problems: Sequence[Problem]

    @property
    def shown(self) -> Sequence[Sequence[str]]:
        """The rows that a person is shown."""
        return self.rows[:ROWS_SHOWN]

    def cells(self, place: int) -> list[str]:
        """What a column holds in the rows looked at, without what is empty."""
        return [row[place].strip() for row in self.rows if row[place].strip()]


def inspected(table: Table) -> Inspection:
    """Look at a table's first rows. Raises `BadInput` where it cannot be read on."""
    names = dict.fromkeys(table.names)
    rows: list[dict[str, str]] = []
    problems: list[Problem] = []
    for piece in table.pieces:
        for found in piece.bad.values():
            problems += found
        names |= dict.fromkeys(piece.names)
        rows += _rows_of(piece, _rows_seen(len(names)) - len(rows))
        if len(rows) >= _rows_seen(len(names)) or len(problems) >= PROBLEMS_MAX:
            break
    return Inspection(
        names=tuple(names),
        rows=[[row.get(name, "") for name in names] for row in rows],
        noticed=table.noticed,
        problems=problems[:PROBLEMS_MAX],
    )


def _rows_seen(columns: int) -> int:
    """How many rows of so many columns are looked at."""
    return min(_ROWS_SEEN, max(ROWS_SHOWN, _CELLS_SEEN // max(columns, 1)))


def _rows_of(piece: Piece, wanted: int) -> list[dict[str, str]]:
    """The first rows of a piece, their cells cut."""
    columns = [[*map(_cut, column[: max(wanted, 0)])] for column in piece.columns]
    return [
        dict(zip(piece.names, row, strict=True)) for row in zip(*columns, strict=True)
    ]


def _cut(cell: str) -> str:
    # What is not UTF-8 comes as halves of characters, which no answer can hold.
    text = cell[:_CELL_CHARACTERS].encode("utf-8", "replace").decode()
    return f"{text}…" if len(cell) > _CELL_CHARACTERS else text


def order_free(names: Sequence[str]) -> str:
    """What files with the same columns have in common, in whatever order and case."""
    return "\0".join(sorted(map(folded, names)))
