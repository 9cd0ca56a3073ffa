"""Records as they come in: one company, with or without a person.

Whatever the format, a record is its number in the input and its fields by column.
Ids are the client's: 1 to 200 characters, no control characters, compared exactly once
the white space around them is gone.
"""

from collections.abc import Callable
from typing import NamedTuple

import orjson

from worker.infrastructure.errors import Problem
from worker.infrastructure.ids import id_problem
from worker.quotes.readers.bounds import cell_problem, record_problem

COMPANY_ID = "company_id"
PERSON_ID = "person_id"

encode = orjson.dumps
"""JSON on one line, as `json` without its blanks writes it: an id looks the same in all
files, those of before with them."""

Change = Callable[[dict[str, str]], dict[str, str]]
"""What becomes of a record's fields."""


class Record(NamedTuple):
    """One input row; `number` counts from 1, bad and doubled rows included.

    `trimmed` says that there was white space around an id of it.
    """

    number: int
    fields: dict[str, str]
    trimmed: bool = False

    @property
    def company_id(self) -> str:
        """The company's id, never empty."""
        return self.fields[COMPANY_ID]

    @property
    def person_id(self) -> str | None:
        """The person's id, or None for the company alone."""
        return self.fields.get(PERSON_ID) or None

    def text(self, field: str) -> str:
        """A field, empty where the input has none."""
        return self.fields.get(field, "")


def record_of(number: int, line: int, fields: dict[str, str]) -> Record | list[Problem]:
    """A row as a record, its ids without the white space around them; or why not."""
    ids = {COMPANY_ID: fields[COMPANY_ID].strip()}
    if PERSON_ID in fields:
        ids[PERSON_ID] = fields[PERSON_ID].strip()
    if all(fields[name] == id_ for name, id_ in ids.items()):
        return _problems_of(line, fields) or Record(number, fields)
    problems = _problems_of(line, fields | ids)
    if PERSON_ID in ids and fields[PERSON_ID] and not ids[PERSON_ID]:
        message = "is white space alone: leave it empty for the company alone"
        problems.append(Problem(line, PERSON_ID, message))
    return problems or Record(number, fields | ids, trimmed=True)


def _problems_of(line: int, fields: dict[str, str]) -> list[Problem]:
    """What keeps a row from being a record; the usual row costs two cheap looks."""
    found = [
        Problem(line, name, message)
        for name, value in fields.items()
        if (message := _why_unusable(value)) is not None
    ]
    message = record_problem(fields.values())
    if message is not None:
        found.append(Problem(line, None, message))
    unusable = {problem.field for problem in found}
    company_id, person_id = fields[COMPANY_ID], fields.get(PERSON_ID, "")
    message = id_problem(company_id)
    if message is not None and COMPANY_ID not in unusable:
        if person_id and not company_id:
            message = "is empty: a person needs its company"
        found.append(Problem(line, COMPANY_ID, message))
    if person_id and PERSON_ID not in unusable:
        message = id_problem(person_id)
        if message is not None:
            found.append(Problem(line, PERSON_ID, message))
    return found


def is_unusable(text: str) -> bool:
    """Whether a text holds what no field does: NUL, or what was not UTF-8."""
    if "\0" in text:
        return True
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            return True
    return False


def _why_unusable(value: str) -> str | None:
    if not is_unusable(value):
        return cell_problem(value)
    return "contains a NUL character" if "\0" in value else "is not valid UTF-8"
