"""Patterns: the claims that most records of a job share, each told by its place.

A million records ask for the same few claims at the same few prices. They are made
once, and whatever is said of a record's claims is the number of their pattern.
"""

from collections.abc import Iterable, Sequence

from pricing.claims import PricedClaim

Claims = tuple[PricedClaim, ...]

NOTHING = 0
"""The place of no claims at all, which is there from the start."""


class Patterns:
    """Patterns by their places, which stay; it only grows."""

    def __init__(self) -> None:
        self.all: list[Claims] = [()]
        self._places: dict[Claims, int] = {(): NOTHING}
        self._joined: dict[tuple[int, int], int] = {}

    def __getitem__(self, place: int) -> Claims:
        """The claims at a place."""
        return self.all[place]

    def place(self, claims: Claims) -> int:
        """The place of these claims."""
        place = self._places.setdefault(claims, len(self.all))
        if place == len(self.all):
            self.all.append(claims)
        return place

    def joined(self, first: Sequence[int], second: Iterable[int]) -> list[int]:
        """For each two patterns the one that has the claims of both."""
        pairs = list(zip(first, second, strict=True))
        for pair in set(pairs).difference(self._joined):
            self._joined[pair] = self.place(self.all[pair[0]] + self.all[pair[1]])
        return list(map(self._joined.__getitem__, pairs))
