"""Halving a batch that one bad row poisons, until the culprit stands alone.

For CRMs that take a batch as a whole or not at all. Of n rows with one culprit it
takes at most 2·log2(n) + 2 calls, and no row is blamed for another's fault. So are
values halved that are looked up together.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

from worker.connections.connectors.connector import Ambiguous, Rejected, Result, Row

_T = TypeVar("_T")

Send = Callable[[Sequence[Row]], Mapping[str, Result]]
"""Writes rows together. Raises `Poisoned` where none of them was written."""


class Poisoned(Exception):
    """Nothing of a batch was written; why is true of one of its rows at least."""

    def __init__(self, rejected: Rejected) -> None:
        self.rejected = rejected
        super().__init__(rejected.message)


def bisected(rows: Sequence[Row], send: Send) -> dict[str, Result]:
    """What became of each row, by our id, however small a batch that takes."""
    if not rows:
        return {}
    try:
        return dict(send(rows))
    except Poisoned as error:
        if len(rows) == 1:
            return {rows[0].id: error.rejected}
    middle = len(rows) // 2
    return bisected(rows[:middle], send) | bisected(rows[middle:], send)


class Unclear(Exception):
    """A CRM refuses a look-up, or knows more records than can be read: `their_ids`."""

    def __init__(self, why: str, their_ids: Sequence[str] = ()) -> None:
        self.their_ids = tuple(their_ids)
        super().__init__(why)

    @property
    def match(self) -> Ambiguous:
        """What it means of the one that is looked for."""
        return Ambiguous(self.their_ids, str(self))


def looked_up(
    values: Sequence[str], ask: Callable[[Sequence[str]], Sequence[_T]]
) -> tuple[list[_T], dict[str, Ambiguous]]:
    """What is answered for values, and those that nothing is told of.

    `ask` raises `Unclear` where it cannot tell for all of them together.
    """
    if not values:
        return [], {}
    try:
        return list(ask(values)), {}
    except Unclear as unclear:
        if len(values) == 1:
            return [], {values[0]: unclear.match}
    middle = len(values) // 2
    found, unclear_ones = looked_up(values[:middle], ask)
    others, unclear_others = looked_up(values[middle:], ask)
    return [*found, *others], unclear_ones | unclear_others


def at_most(records: Iterator[_T], most: int) -> list[_T]:
    """All of these. Raises `Unclear` where they are more than so many."""
    found: list[_T] = []
    for one in records:
        found.append(one)
        if len(found) > most:
            raise Unclear(f"more than {most:,} records have it")
    return found
