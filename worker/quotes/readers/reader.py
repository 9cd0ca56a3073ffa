"""What a reading answers, and the rules that column names keep in every format."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from worker.infrastructure.errors import bad
from worker.quotes.readers.record_columns import Rows
from worker.quotes.readers.table import Noticed

COLUMNS_MAX = 1_000
"""More columns than this are taken for a mistake, such as a header for each record."""


@dataclass(frozen=True, slots=True)
class Reading:
    """An input being read: its columns, and its rows as they are asked for.

    Where each record brings its own fields, `columns` grows with the rows: it is
    complete once they were read, and whoever keeps it copies it then; so are `noticed`,
    `taken`, the columns that were taken for a known field by a like name, and
    `derived`, how many ids were derived by field; `suffix_list` is what they depend on.
    `duplicates` are those that were left out of the rows before, and `trimmed` counts
    the ids that had lost their white space before.
    """

    columns: Collection[str]
    blocks: Iterator[Rows]
    noticed: Noticed | None = None
    taken: Mapping[str, str] = field(default_factory=dict)
    derived: Mapping[str, int] = field(default_factory=dict)
    suffix_list: str | None = None
    duplicates: int = 0
    trimmed: int = 0


def name_problem(name: str) -> str | None:
    """What is wrong with a column's name, in words; None where it is fine."""
    if not name.strip():
        return "has no name"
    return None if name.isprintable() else "has a name that cannot be read"


def columns_of(names: Sequence[str], *, line: int) -> tuple[str, ...]:
    """The columns that a header names. Raises `BadInput` where it cannot be used."""
    seen: set[str] = set()
    for place, name in enumerate(names, start=1):
        message = name_problem(name)
        if message is not None:
            raise bad(None, f"column {place} {message}", line=line)
        if name in seen:
            raise bad(name, "the column is there twice", line=line)
        seen.add(name)
    if len(names) > COLUMNS_MAX:
        message = f"{len(names)} columns are too many; at most {COLUMNS_MAX} are read"
        raise bad(None, message, line=line)
    return tuple(names)
