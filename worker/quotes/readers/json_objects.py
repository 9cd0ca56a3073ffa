"""Records as JSON objects, flat or nested, become the columns that a CSV has.

A flat object's fields are columns by their names. In the nested shape the fields of
`company` and `person` become columns by one rule: `company.x` is `company_x` and
`person.x` is `person_x`, but for a person's `first_name`, `last_name` and `title`,
which keep their names. All other fields stay as they are. Two fields of one record
that end in the same column are a problem: neither wins.
"""

import json
import math
from collections.abc import Iterable, Iterator
from itertools import groupby, islice
from typing import Any

from worker.infrastructure.errors import Problem
from worker.quotes.readers.reader import COLUMNS_MAX, name_problem
from worker.quotes.readers.records import PERSON_ID
from worker.quotes.readers.table import ROWS, Noticed, Piece, Table

_COMPANY = "company"
_PERSON = "person"
_PERSONS_OWN = frozenset({"first_name", "last_name", "title"})


Numbered = tuple[int, int, object]
"""A record's number, its line, and its parsed value or the `Problem` with it."""

_Fields = dict[str, str]


def table_of(values: Iterable[Numbered], kind: str) -> Table:
    """Objects as a table whose rows bring their own columns."""
    pieces = _pieces(iter(values), _Objects())
    return Table((), None, pieces, Noticed(format=kind))


def _pieces(values: Iterator[Numbered], objects: "_Objects") -> Iterator[Piece]:
    """Objects that have the same fields, behind each other, are a piece."""
    while batch := list(islice(values, ROWS)):
        rows = [
            (number, line, objects.fields(line, value)) for number, line, value in batch
        ]
        for names, group in groupby(rows, key=lambda row: _names(row[2])):
            yield _piece(names, list(group))


def _names(fields: _Fields | list[Problem]) -> tuple[str, ...] | None:
    return None if isinstance(fields, list) else tuple(fields)


def _piece(
    names: tuple[str, ...] | None,
    rows: list[tuple[int, int, Any]],
) -> Piece:
    if names is None:
        return Piece((), (), (), (), {number: found for number, _, found in rows})
    cells = list(zip(*(fields.values() for _, _, fields in rows), strict=True))
    return Piece(names, cells, [row[0] for row in rows], [row[1] for row in rows], {})


class _Objects:
    """Turns objects into fields and gathers their names, in the order they come."""

    def __init__(self) -> None:
        self._columns: dict[str, None] = {}

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
