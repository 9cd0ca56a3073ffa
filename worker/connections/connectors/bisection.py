"""Halving a batch that one bad row poisons, until the culprit stands alone.

For CRMs that take a batch as a whole or not at all. Of n rows with one culprit it
takes at most 2·log2(n) + 2 calls, and no row is blamed for another's fault.
"""

from collections.abc import Callable, Mapping, Sequence

from worker.connections.connectors.connector import Rejected, Result, Row

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
