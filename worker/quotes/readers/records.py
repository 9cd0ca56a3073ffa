"""Records as they come in: one company, with or without a person.

Whatever the format, a record is its number in the input and its fields by column.
Ids are the client's: 1 to 200 characters, no control characters, compared exactly once
the white space around them is gone.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pricing.claims import KNOWN, lookup_digest
from worker.infrastructure.errors import Problem
from worker.infrastructure.ids import id_problem

COMPANY_ID = "company_id"
PERSON_ID = "person_id"

_UNUSABLE = re.compile(r"[\x00\ud800-\udfff]")

# Made once: `json.dumps` with options makes one for each record.
encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

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

    @property
    def digest(self) -> str:
        """The digest of what the person is looked up by, `KNOWN` without a person."""
        if self.person_id is None:
            return KNOWN
        return lookup_digest(
            self.text("first_name"), self.text("last_name"), self.text("company_domain")
        )

    @property
    def encoded(self) -> str:
        """The fields as JSON, on one line and without a tab."""
        return encode(self.fields)


class KeptRecord(NamedTuple):
    """A record of an upload: what a quote asks a record was worked out when it came.

    Its fields stay as they were encoded: a quote passes them on unread.
    """

    number: int
    company_id: str
    person_id: str | None
    digest: str
    encoded: str


@dataclass(frozen=True, slots=True)
class Kept:
    """An upload being read: its columns, and its records without their duplicates.

    `duplicates` are those that were left out, `trimmed` counts the records that had
    white space around an id.
    """

    columns: Sequence[str]
    rows: Iterator[KeptRecord]
    duplicates: int
    trimmed: int


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
        Problem(line, name, _why_unusable(value))
        for name, value in fields.items()
        if (not value.isascii() and _UNUSABLE.search(value)) or "\0" in value
    ]
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


def _why_unusable(value: str) -> str:
    return "contains a NUL character" if "\0" in value else "is not valid UTF-8"
