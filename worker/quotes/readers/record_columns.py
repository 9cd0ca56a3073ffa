"""Records by columns: what stands at one place of each column is one record.

A reader hands on a thousand rows at a time. What is usually in order is looked at for a
whole column at once; where it is not, its rows are looked at one by one, so that each
problem names its line and field.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain, groupby, islice
from typing import NamedTuple

import orjson

from pricing.claims import KNOWN, lookup_digests
from worker.infrastructure.errors import Problem
from worker.infrastructure.ids import ID_LENGTH_MAX, has_control_character
from worker.quotes.readers.bounds import CELL_BYTES_MAX, RECORD_BYTES_MAX, bytes_of
from worker.quotes.readers.records import (
    COMPANY_ID,
    PERSON_ID,
    Record,
    encode,
    is_unusable,
    record_of,
)
from worker.quotes.readers.table import ROWS

Row = Record | list[Problem]
"""A row that is a record, or all that keeps it from being one."""


class Records:
    """Some records in their order.

    The fields that are no ids are `others`, "" where a record has none. They are given
    by columns or as the JSON of that, and become the other form where it is asked for.
    """

    def __init__(
        self,
        numbers: Sequence[int],
        company_ids: Sequence[str],
        person_ids: Sequence[str | None],
        others: Mapping[str, Sequence[str]] | bytes,
        *,
        ids_encoded: bytes | None = None,
    ) -> None:
        self.numbers = numbers
        self.company_ids = company_ids
        self.person_ids = person_ids
        self._others = others
        self._ids_encoded = ids_encoded

    def __len__(self) -> int:
        """How many records they are."""
        return len(self.numbers)

    @cached_property
    def others(self) -> Mapping[str, Sequence[str]]:
        """All fields that are no ids, by columns."""
        if not isinstance(self._others, bytes):
            return self._others
        columns: dict[str, list[str]] = orjson.loads(self._others)
        return columns

    @property
    def others_encoded(self) -> bytes:
        """The same as JSON, on one line and without a tab."""
        if isinstance(self._others, bytes):
            return self._others
        return encode(self._others)

    @cached_property
    def digests(self) -> Sequence[str]:
        """What each person is looked up by, `KNOWN` for the company alone."""
        return digests_of(self.person_ids, self.others)

    @property
    def ids_encoded(self) -> bytes:
        """All but `others` as JSON: what begins a line that keeps them."""
        if self._ids_encoded is not None:
            return self._ids_encoded
        return ids_encoded(self.numbers, self.company_ids, self.person_ids)

    def at(self, places: Sequence[int]) -> "Records":
        """Those at some places."""
        return Records(
            [self.numbers[at] for at in places],
            [self.company_ids[at] for at in places],
            [self.person_ids[at] for at in places],
            {name: [cells[at] for at in places] for name, cells in self.others.items()},
        )

    def each(self) -> Iterator[Record]:
        """The records one by one."""
        names = (COMPANY_ID, PERSON_ID, *self.others)
        persons = [one or "" for one in self.person_ids]
        rows = zip(self.company_ids, persons, *self.others.values(), strict=True)
        for number, row in zip(self.numbers, rows, strict=True):
            yield Record(number, dict(zip(names, row, strict=True)))


_LOOKED_UP_BY = ("first_name", "last_name", "company_domain")


def digests_of(
    person_ids: Sequence[str | None], others: Mapping[str, Sequence[str]]
) -> list[str]:
    """What each person is looked up by, `KNOWN` where there is none.

    It is worked out from the fields wherever it is asked for, and stands in no file:
    all of a million would have to be, and few matter.
    """
    places = [at for at, one in enumerate(person_ids) if one is not None]
    names = [
        [cells[at] for at in places] if cells else [""] * len(places)
        for cells in map(others.get, _LOOKED_UP_BY)
    ]
    if len(places) == len(person_ids):
        return lookup_digests(*names)
    found = [KNOWN] * len(person_ids)
    for at, digest in zip(places, lookup_digests(*names), strict=True):
        found[at] = digest
    return found


def ids_encoded(
    numbers: Sequence[int],
    company_ids: Sequence[str],
    person_ids: Sequence[str | None],
) -> bytes:
    """Whom some records name, as JSON."""
    ids = {
        "numbers": list(numbers),
        "companies": company_ids,
        "persons": person_ids,
    }
    return encode(ids)


def with_more(ids: bytes, name: str, value: object) -> bytes:
    """What `ids_encoded` answers, and one more beside it."""
    return b'%b,"%b":%b}' % (ids[:-1], name.encode(), encode(value))


class Rows(NamedTuple):
    """Some rows as they were read: the records, and what is wrong with the others.

    `bad` is by the row's number in the input. `trimmed` counts the records that had
    white space around an id.
    """

    records: Records
    bad: Mapping[int, list[Problem]]
    trimmed: int

    def __len__(self) -> int:
        """How many rows they are."""
        return len(self.records) + len(self.bad)


_FEW = 8


def rows_of(
    names: Sequence[str],
    columns: Sequence[Sequence[str]],
    numbers: Sequence[int],
    lines: Sequence[int],
) -> Rows:
    """Rows that are there by columns, of which `company_id` is one."""
    by_name = dict(zip(names, columns, strict=True))
    companies, persons = by_name[COMPANY_ID], by_name.get(PERSON_ID)
    # Few rows are large ones, or none: they are not copied to be looked at.
    text = "".join(chain.from_iterable(columns)) if len(numbers) > _FEW else None
    if (
        text is not None
        and not is_unusable(text)
        and (bytes_of(text) <= CELL_BYTES_MAX or _are_small(columns))
        and all(companies)
        and _are_ids(companies)
        and (persons is None or _are_ids(persons))
    ):
        return Rows(_records(numbers, by_name), {}, 0)
    cells = zip(numbers, lines, zip(*columns, strict=True), strict=True)
    return gathered(
        (number, record_of(number, line, dict(zip(names, row, strict=True))))
        for number, line, row in cells
    )


def blocks_of(rows: Iterable[tuple[int, Row]]) -> Iterator[Rows]:
    """Rows that are looked at one by one as they are asked for, by blocks."""
    rest = iter(rows)
    while block := list(islice(rest, ROWS)):
        yield gathered(block)


def gathered(rows: Iterable[tuple[int, Row]]) -> Rows:
    """Rows that were looked at one by one, each with its number."""
    records: list[Record] = []
    bad: dict[int, list[Problem]] = {}
    for number, row in rows:
        if isinstance(row, Record):
            records.append(row)
        else:
            bad[number] = row
    trimmed = sum(record.trimmed for record in records)
    return Rows(records_of(records), bad, trimmed)


NO_RECORDS = Records((), (), (), {})


def joined(blocks: Sequence[Rows]) -> Rows:
    """Some blocks as one."""
    if len(blocks) == 1:
        return blocks[0]
    records = records_of([one for rows in blocks for one in rows.records.each()])
    bad = {number: found for rows in blocks for number, found in rows.bad.items()}
    return Rows(records, bad, sum(rows.trimmed for rows in blocks))


def records_of(records: Sequence[Record]) -> Records:
    """Records that are there one by one."""
    fields = [record.fields for record in records]
    return Records(
        [record.number for record in records],
        [record.company_id for record in records],
        [record.person_id for record in records],
        others_of(fields),
    )


def others_of(fields: Sequence[dict[str, str]]) -> dict[str, list[str]]:
    """The fields of some records that are no ids, by columns."""
    names: dict[str, None] = {}
    for keys, _ in groupby(fields, key=dict.keys):  # mostly the same in all
        names.update(dict.fromkeys(keys))
    return {
        name: [given.get(name, "") for given in fields]
        for name in names
        if name not in {COMPANY_ID, PERSON_ID}
    }


def _records(numbers: Sequence[int], columns: dict[str, Sequence[str]]) -> Records:
    companies = columns.pop(COMPANY_ID)
    persons = columns.pop(PERSON_ID, None)
    if persons is None:
        return Records(numbers, companies, [None] * len(companies), columns)
    if not all(persons):
        return Records(numbers, companies, [one or None for one in persons], columns)
    return Records(numbers, companies, persons, columns)


def _are_small(columns: Sequence[Sequence[str]]) -> bool:
    """Whether no cell and no record can be too large, seen from their characters."""
    longest = [max(map(len, cells), default=0) for cells in columns]
    return max(longest) <= CELL_BYTES_MAX >> 2 and sum(longest) <= RECORD_BYTES_MAX >> 2


def _are_ids(cells: Sequence[str]) -> bool:
    """Whether all are ids as they are, or empty."""
    joined = "".join(cells)
    return (
        (joined.isprintable() or not has_control_character(joined))
        and max(map(len, cells), default=0) <= ID_LENGTH_MAX
        and list(map(str.strip, cells)) == list(cells)
    )
