"""Ids that look as if a spreadsheet had retyped them: told, and taken as they are.

A spreadsheet takes an id of digits for a number: it shows `1.23E+15`, keeps fifteen
digits and makes the others zeros, and whoever reads its numbers may write `1001.0`. It
takes `3-1` for a date, and a formula that fails for `#N/A`. Two ids that were different
may be one then.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

from worker.quotes.readers.record_columns import Records
from worker.quotes.readers.records import COMPANY_ID, PERSON_ID

_SHOWN = 20

_MONTH = (
    "(?:[Jj]an|[Ff]eb|[Mm]ar|[Aa]pr|[Mm]ay|[Jj]un"
    "|[Jj]ul|[Aa]ug|[Ss]ep|[Oo]ct|[Nn]ov|[Dd]ec)"
)
_RETYPED = (
    r"\.0++",  # 1001.0
    r"(?:[.,]\d++)?+[eE]\+\d{2,3}",  # 1.23E+15
    rf"-{_MONTH}(?:-\d{{2,4}})?",  # 3-Jan
    r"/\d{1,2}/\d{4}",  # 3/1/2024
    r"-\d\d-\d\d(?:[ T]00:00(?::00)?)?",  # 2024-01-03
)
_ERRORS = r"#(?:N/A|REF!|VALUE!|NAME\?|NUM!|NULL!|DIV/0!)"
# In ids between ends of lines, of which they have none. Nothing is tried twice.
_SPOILED = re.compile(
    rf"\n(?:-?\d++(?!\n)(?:{'|'.join(_RETYPED)})|{_MONTH}-\d{{2,4}}|{_ERRORS})(?=\n)"
)
_LONG = re.compile(r"\n[1-9]\d{15,}(?=\n)")
_EXACT_DIGITS = 15


@dataclass(slots=True)
class _Long:
    """Ids of more digits than a spreadsheet keeps, until one shows that it was none."""

    total: int = 0
    first: list[tuple[int, str]] = field(default_factory=list)
    is_exact: bool = False


class SpoiledIds:
    """Counts ids that a spreadsheet may have spoiled, and keeps the first of them."""

    def __init__(self) -> None:
        self._total = 0
        self._first: list[tuple[int, str, str]] = []
        self._long = {COMPANY_ID: _Long(), PERSON_ID: _Long()}

    def look_at(self, records: Records) -> None:
        """Take some more records."""
        self._look(COMPANY_ID, records.numbers, records.company_ids)
        self._look(PERSON_ID, records.numbers, records.person_ids)

    @property
    def total(self) -> int:
        """How many ids there are, each as often as it stands there."""
        return self._total + sum(long.total for _, long in self._rounded())

    @property
    def first(self) -> list[dict[str, int | str]]:
        """The first of them: `record`, `field` and `value`."""
        found = self._first + [
            (number, name, value)
            for name, long in self._rounded()
            for number, value in long.first
        ]
        return [
            {"record": number, "field": name, "value": value}
            for number, name, value in sorted(found)[:_SHOWN]
        ]

    def _rounded(self) -> list[tuple[str, _Long]]:
        return [(name, one) for name, one in self._long.items() if not one.is_exact]

    def _look(
        self, name: str, numbers: Sequence[int], ids: Sequence[str | None]
    ) -> None:
        text = _in_lines(ids)
        if _SPOILED.search(text):
            found = [
                (number, name, one)
                for number, one in zip(numbers, ids, strict=True)
                if one is not None and _SPOILED.match(_in_lines([one]))
            ]
            self._total += len(found)
            self._first += found[: _SHOWN - len(self._first)]
        long = self._long[name]
        if not long.is_exact and _LONG.search(text):
            self._look_at_long(long, numbers, ids)

    @staticmethod
    def _look_at_long(
        long: _Long, numbers: Sequence[int], ids: Sequence[str | None]
    ) -> None:
        """All ids of so many digits end in zeros, or the column was never retyped."""
        for number, one in zip(numbers, ids, strict=True):
            if one is None or not _LONG.match(_in_lines([one])):
                continue
            if one[_EXACT_DIGITS:].strip("0"):
                long.is_exact = True
                long.total, long.first = 0, []
                return
            long.total += 1
            if len(long.first) < _SHOWN:
                long.first.append((number, one))


def _in_lines(ids: Sequence[str | None]) -> str:
    """Ids with an end of a line around each."""
    texts = [one or "" for one in ids] if None in ids else ids
    return "\n" + "\n".join(cast("Sequence[str]", texts)) + "\n"
