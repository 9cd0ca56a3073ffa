"""Reading rows while collecting what is wrong with them."""

from collections.abc import Iterable, Iterator

from worker.infrastructure.errors import BadInput, Code, Problem, Refused
from worker.quotes.readers.reader import Row
from worker.quotes.readers.records import Record

PROBLEMS_MAX = 100
"""How many problems an answer lists; the others are counted."""


class Problems:
    """What is wrong, without keeping more than an answer lists."""

    def __init__(self) -> None:
        self.total = 0
        self.first: list[Problem] = []

    def filter(self, rows: Iterable[Row]) -> Iterator[Record]:
        """The records among the rows."""
        for row in rows:
            if isinstance(row, list):
                self.add(row)
            else:
                yield row

    def add(self, found: list[Problem]) -> None:
        """Count problems, and keep them while there is room."""
        self.total += len(found)
        self.first.extend(found[: PROBLEMS_MAX - len(self.first)])

    def raise_if_any(self) -> None:
        """Raise them as `BadInput`."""
        if self.total:
            raise BadInput(self.first, self.total)


def limited(rows: Iterable[Row], records_max: int) -> Iterator[Row]:
    """Rows, as long as there are no more than may be. Raises `Refused` then."""
    for number, row in enumerate(rows, start=1):
        if number > records_max:
            message = f"there are more than {records_max} records"
            raise Refused(Code.TOO_LARGE, message, records_max=records_max)
        yield row
