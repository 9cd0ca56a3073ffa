"""Records as JSON objects, flat or nested, become the columns that a CSV has.

A flat object's fields are columns by their names. In the nested shape the fields of
`company` and `person` become columns by one rule: `company.x` is `company_x` and
`person.x` is `person_x`, but for a person's `first_name`, `last_name` and `title`,
which keep their names. All other fields stay as they are. Two fields of one record
that end in the same column are a problem: neither wins.
"""

import json
import math
from collections.abc import Iterable, KeysView
from typing import Any

from worker.infrastructure.errors import Problem
from worker.quotes.readers.reader import COLUMNS_MAX, name_problem
from worker.quotes.readers.record_columns import Row
from worker.quotes.readers.records import COMPANY_ID, PERSON_ID, record_of

_COMPANY = "company"
_PERSON = "person"
_PERSONS_OWN = frozenset({"first_name", "last_name", "title"})


class Objects:
    """Turns objects into rows and gathers their columns, in the order they come."""

    def __init__(self) -> None:
        self._columns: dict[str, None] = {}

    @property
    def columns(self) -> KeysView[str]:
        """The columns of all records so far; it grows with them."""
        return self._columns.keys()

    def row(self, number: int, line: int, values: object) -> Row:
        """The record that an object stands for, or what keeps it from being one."""
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
        if COMPANY_ID not in fields:
            problems.append(_without_company(line, fields))
        if fields.keys() - self._columns.keys():
            problems += self._new_columns(line, fields)
        row = problems or record_of(number, line, fields)
        if not isinstance(row, list):
            self._columns.update(dict.fromkeys(fields))
        return row

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


def _without_company(line: int, fields: dict[str, str]) -> Problem:
    """Say so of the field that was to name it."""
    if _COMPANY in fields:
        return Problem(line, _COMPANY, "is not an object, and there is no company_id")
    if fields.get(PERSON_ID):
        return Problem(line, COMPANY_ID, "is missing: a person needs its company")
    return Problem(line, COMPANY_ID, "is missing")


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
