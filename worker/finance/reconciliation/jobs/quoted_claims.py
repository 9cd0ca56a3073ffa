"""The quote's lines, counted once more: distinct claims by item and frozen price.

A million records can hold three million claims: what stands for each is eight bytes,
looked through a share at a time.
"""

from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pricing.plans import Item, Terms
from worker.finance.reconciliation.notebook import Notebook

_SHARES = 64


class Distinct:
    """How many different texts there are, by their hashes."""

    def __init__(self) -> None:
        self._shares = [array("q") for _ in range(_SHARES)]

    def add(self, key: tuple[str, str]) -> None:
        """Count one, which may have been there before."""
        number = hash(key)
        self._shares[number % _SHARES].append(number)

    def __len__(self) -> int:
        """How many there were."""
        return sum(len(set(share)) for share in self._shares)


class QuotedClaims:
    """All claims of a job's records, and what the quote had to say of them."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, int], Distinct] = {}

    def add(self, item: str, subject: str, digest: str, price: int) -> None:
        """Count a claim of a record."""
        counted = self._counts.get((item, price))
        if counted is None:
            counted = self._counts[item, price] = Distinct()
        counted.add((subject, digest))

    def check(self, quote: Mapping[str, Any], terms: Terms, notes: Notebook) -> None:
        """Note where the quote says something else."""
        expected = list(self._lines(terms))
        found = _stored_lines(quote.get("lines"))
        notes.same("quotes.lines", notes.job_id, _told(expected), _told(found))
        total = sum(credits_ for *_, credits_ in expected)
        notes.same("quotes.max_credits", notes.job_id, total, quote["max_credits"])

    def _lines(self, terms: Terms) -> Iterator[tuple[str, int, int, int, int]]:
        for item in Item:
            counts = {
                price: len(counted)
                for (of, price), counted in self._counts.items()
                if of == item.value
            }
            if counts:
                credits_ = sum(price * count for price, count in counts.items())
                count, free = sum(counts.values()), counts.get(0, 0)
                yield item.value, count, free, terms.unit(item), credits_


def _stored_lines(lines: object) -> list[tuple[object, ...]]:
    names = ("item", "count", "free", "unit_credits", "credits")
    if not isinstance(lines, list):
        return []
    return [tuple(line.get(name) for name in names) for line in lines]


def _told(lines: Sequence[tuple[object, ...]]) -> str:
    return "; ".join(
        f"{item}: {count}, {free} free, {unit} each, {credits_} credits"
        for item, count, free, unit, credits_ in lines
    )
