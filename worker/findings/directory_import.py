"""Loading the directory from JSON Lines: each line checked, all or nothing.

A line is an object with `person_id`, and `email`, `email_status`, `phone` where they
are known. Other fields are ignored; a missing status means unknown.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from pricing.claims import DERIVED
from pricing.findings import EmailStatus
from storage.findings import directory
from storage.findings.directory import Entry
from worker.infrastructure.dependencies import Deps
from worker.infrastructure.errors import Problem
from worker.infrastructure.ids import has_control_character, id_problem, trimmed
from worker.quotes.problems import Problems
from worker.quotes.readers.records import PERSON_ID

_STATUSES = frozenset(status.value for status in EmailStatus)


class Loaded(NamedTuple):
    """How many persons there were, and how many had white space around their id."""

    persons: int
    trimmed: int


def load_directory(deps: Deps, lines: Iterable[bytes]) -> Loaded:
    """Add or replace the persons of a file.

    Raises `BadInput` with the first problems, by line and field; then nothing has
    changed.
    """
    problems, spaced = Problems(), _Spaced()
    with deps.database.transaction() as connection:
        persons = directory.load(connection, _entries(lines, problems, spaced))
        problems.raise_if_any()
    return Loaded(persons, spaced.count)


class _Spaced:
    """Counts ids that come with white space around them."""

    def __init__(self) -> None:
        self.count = 0

    def without(self, entry: Entry) -> Entry:
        """An entry whose id has none."""
        person_id = trimmed(entry.person_id)
        if person_id == entry.person_id:
            return entry
        self.count += 1
        return entry._replace(person_id=person_id)


def _entries(
    lines: Iterable[bytes], problems: Problems, spaced: _Spaced
) -> Iterator[Entry]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        parsed = _parse(number, line)
        if isinstance(parsed, Problem):
            problems.add([parsed])
        else:
            yield spaced.without(parsed)


def _parse(number: int, line: bytes) -> Entry | Problem:
    try:
        values = json.loads(line.decode())
    except UnicodeDecodeError:
        return Problem(number, None, "is not valid UTF-8")
    except ValueError as error:
        return Problem(number, None, f"is not JSON: {error}")
    except RecursionError:
        return Problem(number, None, "is nested too deeply")
    if not isinstance(values, dict):
        return Problem(number, None, "is not an object")
    return _problem(number, values) or Entry(
        values[PERSON_ID],
        values.get("email") or None,
        EmailStatus(values.get("email_status") or EmailStatus.UNKNOWN),
        values.get("phone") or None,
    )


def _problem(number: int, values: dict[str, Any]) -> Problem | None:
    person_id = values.get(PERSON_ID)
    message = (
        id_problem(trimmed(person_id))
        if isinstance(person_id, str)
        else "is missing or no text"
    )
    if message:
        return Problem(number, PERSON_ID, message)
    if str(person_id).strip().startswith(DERIVED):
        message = f"begins with {DERIVED}, as ids do that are derived for one license"
        return Problem(number, PERSON_ID, message)
    for field in ("email", "phone", "email_status"):
        value = values.get(field)
        if value is not None and not isinstance(value, str):
            return Problem(number, field, "is no text")
        if value and has_control_character(value):
            return Problem(number, field, "contains a control character")
    status = values.get("email_status")
    if status and status not in _STATUSES:
        known = ", ".join(sorted(_STATUSES))
        return Problem(number, "email_status", f"is none of {known}")
    return None
