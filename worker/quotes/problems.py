"""Collecting what is wrong with rows while they are read."""

from collections.abc import Callable

from worker.infrastructure.errors import BadInput, Problem

PROBLEMS_MAX = 100
"""How many problems an answer lists; the others are counted."""


class Problems:
    """What is wrong, without keeping more than an answer lists; `tell` is told all."""

    def __init__(self, tell: Callable[[list[Problem]], None] | None = None) -> None:
        self.total = 0
        self.first: list[Problem] = []
        self._tell = tell

    def add(self, found: list[Problem]) -> None:
        """Count problems, and keep them while there is room."""
        self.total += len(found)
        self.first.extend(found[: PROBLEMS_MAX - len(self.first)])
        if self._tell is not None:
            self._tell(found)

    def raise_if_any(self) -> None:
        """Raise them as `BadInput`."""
        if self.total:
            raise BadInput(self.first, self.total)
