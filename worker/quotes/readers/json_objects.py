"""Records as JSON objects, flat or nested, become the columns that a CSV has.

A flat object's fields are columns by their names. In the nested shape the fields of
`company` and `person` become columns by one rule: `company.x` is `company_x` and
`person.x` is `person_x`, but for a person's `first_name`, `last_name` and `title`,
which keep their names. All other fields stay as they are. Two fields of one record
that end in the same column are a problem: neither wins.
"""

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from worker.infrastructure.errors import Problem
from worker.quotes.readers.bounds import BATCH_BYTES
from worker.quotes.readers.reader import COLUMNS_MAX, name_problem
from worker.quotes.readers.records import PERSON_ID
from worker.quotes.readers.table import ROWS, Noticed, Piece, Table

_COMPANY = "company"
_PERSON = "person"
_PERSONS_OWN = frozenset({"first_name", "last_name", "title"})


class Batch(NamedTuple):
    """Some records' numbers and lines, and each one's parsed value or its `Problem`.

    `bytes` is how large they are; few at a time stay in the processor's caches.
    """

    numbers: Sequence[int]
    lines: Sequence[int]
    values: Sequence[object]
    bytes: int = 0


BATCH_ROWS = 50

_Fields = dict[str, str]
_Names = tuple[str, ...]


def table_of(batches: Iterable[Batch], kind: str) -> Table:
    """Objects as a table whose rows bring their own columns."""
    return Table((), None, _pieces(batches, _Objects()), Noticed(format=kind))


def _pieces(batches: Iterable[Batch], objects: "_Objects") -> Iterator[Piece]:
    """Objects that have the same fields, behind each other, are a piece."""
    run = _Run(())
    for batch in batches:
        for names, same in _alike(batch):
            columns = None if names is None else objects.columns(names, same.values)
            if names is None or columns is None:
                yield from run.taken()
                yield from _one_by_one(same, objects)
                continue
            if names != run.names:
                yield from run.taken()
                run = _Run(names)
            run.add(columns, same)
        run.bytes += batch.bytes
        if len(run.lines) >= ROWS or run.bytes >= BATCH_BYTES:
            yield from run.taken()
    yield from run.taken()


class _Run:
    """Flat objects with the same fields, gathered by columns."""

    def __init__(self, names: _Names) -> None:
        self.names = names
        self._clear()

    def _clear(self) -> None:
        self._columns: list[list[str]] = [[] for _ in self.names]
        self._numbers: list[int] = []
        self.lines: list[int] = []
        self.bytes = 0

    def add(self, columns: Sequence[Sequence[str]], batch: Batch) -> None:
        for column, cells in zip(self._columns, columns, strict=True):
            column.extend(cells)
        self._numbers += batch.numbers
        self.lines += batch.lines

    def taken(self) -> Iterator[Piece]:
        """What was gathered, if anything; it begins anew."""
        if self.lines:
            yield Piece(self.names, self._columns, self._numbers, self.lines, {})
            self._clear()


def _alike(batch: Batch) -> Iterator[tuple[_Names | None, Batch]]:
    """A batch by the names of its objects' fields; None: to be looked at one by one."""
    if set(map(type, batch.values)) == {dict}:
        names: list[_Names] = list(map(tuple, batch.values))  # type: ignore[arg-type]
        if names.count(names[0]) == len(names):
            yield _of_flat(names[0]), batch
            return
    first = 0
    for found, run in groupby(map(_names, batch.values)):
        last = first + len(list(run))
        numbers, lines, values, _ = batch
        yield found, Batch(numbers[first:last], lines[first:last], values[first:last])
        first = last


def _names(value: object) -> _Names | None:
    return _of_flat(tuple(value)) if isinstance(value, dict) else None


def _of_flat(names: _Names) -> _Names | None:
    return None if not names or _COMPANY in names or _PERSON in names else names


def _one_by_one(batch: Batch, objects: "_Objects") -> Iterator[Piece]:
    rows = [
        (number, line, objects.fields(line, value))
        for number, line, value in zip(*batch[:3], strict=True)
    ]
    for names, group in groupby(rows, key=lambda row: _names_of(row[2])):
        yield _piece(names, list(group))


def _names_of(fields: _Fields | list[Problem]) -> _Names | None:
    return None if isinstance(fields, list) else tuple(fields)


def _piece(names: _Names | None, rows: list[tuple[int, int, Any]]) -> Piece:
    if names is None:
        return Piece((), (), (), (), {number: found for number, _, found in rows})
    cells = list(zip(*(fields.values() for _, _, fields in rows), strict=True))
    return Piece(names, cells, [row[0] for row in rows], [row[1] for row in rows], {})


_WORDS: dict[object, str] = {None: "", True: "true", False: "false"}


def _as_column(cells: Sequence[Any]) -> Sequence[str] | None:
    """The texts of one field's values; None where one of them is to be looked at."""
    kinds = set(map(type, cells))
    if kinds == {str}:
        return cells
    if kinds == {int}:
        return list(map(str, cells))
    if not kinds <= {str, int, bool, type(None)}:
        return None
    return [cell if type(cell) is str else _word(cell) for cell in cells]


def _word(cell: int | None) -> str:
    return str(cell) if type(cell) is int else _WORDS[cell]


class _Objects:
    """Turns objects into fields and gathers their names, in the order they come."""

    def __init__(self) -> None:
        self._columns: dict[str, None] = {}

    def columns(
        self, names: _Names, values: Sequence[Any]
    ) -> Sequence[Sequence[str]] | None:
        """The columns of flat objects with the same fields; None where one is odd."""
        if not self._columns.keys() >= set(names) and self._new_columns(0, names):
            return None
        columns = []
        for cells in zip(*map(dict.values, values), strict=True):
            column = _as_column(cells)
            if column is None:
                return None
            columns.append(column)
        self._columns.update(dict.fromkeys(names))
        return columns

    def fields(self, line: int, values: object) -> _Fields | list[Problem]:
        """The fields that an object stands for, or what is wrong with it."""
        if isinstance(values, Problem):
            return [values]
        if not isinstance(values, dict):
            return [Problem(line, None, "is not an object")]
        company, person = values.get(_COMPANY), values.get(_PERSON)
        if isinstance(company, dict) or isinstance(person, dict):
            problems = _nesting_problems(line, company, person)
            pairs = _flattened(values)
            fields = dict(pairs)
            if len(fields) < len(pairs):
                problems += _twice(line, [name for name, _ in pairs])
        else:
            problems, fields = [], values
        if not all(type(value) is str for value in fields.values()):
            fields, unusable = _as_texts(line, fields)
            problems += unusable
        if fields.keys() - self._columns.keys():
            problems += self._new_columns(line, fields)
        if problems:
            return problems
        self._columns.update(dict.fromkeys(fields))
        return fields

    def _new_columns(self, line: int, fields: Iterable[str]) -> list[Problem]:
        new = [name for name in fields if name not in self._columns]
        problems = [
            Problem(line, None, f"a field {message}")
            for name in new
            if (message := name_problem(name)) is not None
        ]
        if len(self._columns) + len(new) > COLUMNS_MAX:
            message = f"more than {COLUMNS_MAX} different fields are in the input"
            problems.append(Problem(line, None, message))
        return problems


def _flattened(values: dict[str, Any]) -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    for name, value in values.items():
        if name == _COMPANY and isinstance(value, dict):
            pairs += [(f"company_{key}", held) for key, held in value.items()]
        elif name == _PERSON and isinstance(value, dict):
            pairs += [
                (key if key in _PERSONS_OWN else f"person_{key}", held)
                for key, held in value.items()
            ]
        elif name != _PERSON or value is not None:
            pairs.append((name, value))
    return pairs


def _nesting_problems(line: int, company: object, person: object) -> list[Problem]:
    """What is wrong with the two objects themselves."""
    if isinstance(person, dict):
        if person.get("id") in (None, ""):
            return [Problem(line, PERSON_ID, "is missing: a person needs its id")]
    elif person is not None:
        return [Problem(line, _PERSON, "is not an object")]
    if company is not None and not isinstance(company, dict):
        return [Problem(line, _COMPANY, "is not an object")]
    return []


def _twice(line: int, names: list[str]) -> list[Problem]:
    return [
        Problem(line, name, "the field is there twice")
        for name in dict.fromkeys(names)
        if names.count(name) > 1
    ]


def _as_texts(
    line: int, values: dict[str, Any]
) -> tuple[dict[str, str], list[Problem]]:
    """Every value as text; a list or an object is none."""
    texts, problems = {}, []
    for name, value in values.items():
        text = _text(value)
        texts[name] = text or ""
        if text is None:
            what = "a number that is none" if isinstance(value, float) else "nested"
            message = f"is {what}; text, numbers, true, false and null are read"
            problems.append(Problem(line, name, message))
    return texts, problems


def _text(value: object) -> str | None:
    """A plain value as text: true as in JSON, null as nothing at all."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return json.dumps(value) if isinstance(value, bool | int | float) else None
