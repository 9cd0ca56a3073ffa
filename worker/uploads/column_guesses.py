"""Guesses of which column is which field of ours, each with its reason.

By what a known program exports, by the column's name, then by what it holds. A guess is
`high` where the name says it outright or a known export calls it so, `medium` where the
name is a usual word for it or the values can hardly be anything else, and `low` where
they only have the shape of it: look before using that.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

from worker.infrastructure.errors import BadInput
from worker.quotes.readers.column_mapping import KNOWN_FIELDS, folded
from worker.quotes.readers.records import COMPANY_ID, PERSON_ID
from worker.uploads.header_words import EMAIL, PROFILE, meaning_of
from worker.uploads.inspection import Inspection
from worker.uploads.known_exports import KnownExport, recognised


class Confidence(StrEnum):
    """How far a guess can be relied on, the surest first."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class Guess(NamedTuple):
    """A column, the field that it is guessed to be, and why; no field: why not.

    `derives` is the way in which an id could be derived from it.
    """

    name: str
    field: str | None = None
    why: str | None = None
    confidence: Confidence | None = None
    derives: str | None = None


class Guesses(NamedTuple):
    """A guess for each column, the mapping that they make, and whose export it is."""

    columns: tuple[Guess, ...]
    proposal: dict[str, Any]
    export: str | None


_FOLDED = {folded(name): name for name in KNOWN_FIELDS}
_ORDER = list(Confidence)


def guesses_of(inspection: Inspection) -> Guesses:
    """What each column could be; no field is guessed twice."""
    export = recognised(inspection.names)
    found = [
        _guess(name, inspection.cells(place), export)
        for place, name in enumerate(inspection.names)
    ]
    columns = _each_field_once(found)
    proposal = _proposal(columns, export)
    return Guesses(tuple(columns), proposal, export.name if export else None)


def _guess(name: str, cells: Sequence[str], export: KnownExport | None) -> Guess:
    shape = _shape(cells)
    derives = shape.derives if shape else None
    if export is not None:
        for field, column in export.columns.items():
            if column == name:
                why = f"{export.name} calls it so"
                return Guess(name, field, why, Confidence.HIGH, derives)
    if name in KNOWN_FIELDS:
        return Guess(name, name, "it is called so", Confidence.HIGH, derives)
    known = _FOLDED.get(folded(name))
    if known is not None:
        why = f"it is called {known} but for case, spaces, - and _"
        return Guess(name, known, why, Confidence.HIGH, derives)
    meaning = meaning_of(name)
    if meaning in _NO_FIELD:
        return Guess(name, None, _NO_FIELD[meaning], None, meaning)
    if meaning is not None:
        why = f"{name!r} is a usual word for {meaning}"
        return Guess(name, meaning, why, Confidence.MEDIUM, derives)
    if shape is None:
        return Guess(name)
    return Guess(name, *shape)


_NO_FIELD = {
    EMAIL: "it is called like an e-mail address: a person's id can be derived from it",
    PROFILE: "it is called like a profile: a person's id can be derived from it",
}


class _Shape(NamedTuple):
    field: str | None
    why: str
    confidence: Confidence | None
    derives: str | None


_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_PROFILE = re.compile(
    r"(https?://)?([a-z]{2,3}\.)?linkedin\.com/(in|pub)/\S+", re.IGNORECASE
)
_DOMAIN = re.compile(
    r"(https?://)?(www\.)?([\w-]+\.)+[a-z]{2,24}(/\S*)?", re.IGNORECASE
)
_FEW = 3
"""Fewer values say nothing of a column."""


def _shape(cells: Sequence[str]) -> _Shape | None:
    """What the values of a column look like, where all of them agree."""
    if not cells:
        return None
    if all(map(_EMAIL.fullmatch, cells)):
        why = "its values are e-mail addresses, from which a person's id can be derived"
        return _Shape(None, why, None, "email")
    if all(map(_PROFILE.fullmatch, cells)):
        why = "its values are profiles, from which a person's id can be derived"
        return _Shape(None, why, None, "profile_url")
    if all(map(_DOMAIN.fullmatch, cells)):
        why = "its values are domains or websites"
        return _Shape("company_domain", why, Confidence.MEDIUM, "domain")
    if len(cells) >= _FEW and len(set(cells)) == len(cells) and _all(_is_uuid, cells):
        why = "its values are UUIDs, and each is there once"
        return _Shape(COMPANY_ID, why, Confidence.LOW, None)
    return None


def _all(is_so: Callable[[str], bool], cells: Iterable[str]) -> bool:
    return all(map(is_so, cells))


def _is_uuid(cell: str) -> bool:
    try:
        UUID(cell)
    except ValueError:
        return False
    return True


def _each_field_once(found: Sequence[Guess]) -> list[Guess]:
    """Of those that would be one field the surest, and the first of them, stays."""
    best: dict[str, Guess] = {}
    for guess in found:
        if guess.field is not None:
            other = best.setdefault(guess.field, guess)
            if _rank(guess) < _rank(other):
                best[guess.field] = guess
    return [
        guess
        if guess.field is None or best[guess.field] is guess
        else Guess(
            guess.name,
            why=f"it could be {guess.field}, as {best[guess.field].name!r} rather is",
            derives=guess.derives,
        )
        for guess in found
    ]


def _rank(guess: Guess) -> int:
    return _ORDER.index(guess.confidence) if guess.confidence else len(_ORDER)


def _proposal(columns: Sequence[Guess], export: KnownExport | None) -> dict[str, Any]:
    """The mapping to begin with: what is sure enough, and ids that can be derived."""
    proposal: dict[str, Any] = {
        guess.field: guess.name
        for guess in columns
        if guess.field is not None and guess.confidence is not Confidence.LOW
    }
    if export is not None:
        for field, one in export.derived.items():
            proposal.setdefault(field, {"derive": one.way, "column": one.column})
    names_persons = any(field in proposal for field in _NAMES)
    for field, sources in _SOURCES.items():
        if field == COMPANY_ID or names_persons:
            for shape, way in sources:
                source = next((one.name for one in columns if _is(one, shape)), None)
                if source is not None:
                    proposal.setdefault(field, {"derive": way, "column": source})
    return proposal


_NAMES = ("first_name", "last_name")
_SOURCES = {
    COMPANY_ID: (("domain", "domain"), (EMAIL, "domain")),
    PERSON_ID: ((EMAIL, "email"), (PROFILE, "profile_url")),
}
"""Of which columns an id can be derived, the surer ones first, and in which way."""


def _is(guess: Guess, shape: str) -> bool:
    named = shape == "domain" and guess.field == "company_domain"
    return named or guess.derives == shape


def with_hint(error: BadInput, hint: Callable[[str], str | None]) -> BadInput:
    """What is wrong with a file, and of the first field that it lacks what to do."""
    for place, problem in enumerate(error.problems):
        if problem.field in KNOWN_FIELDS and "is missing" in problem.message:
            words = hint(problem.field)
            if words is None:
                break
            message = f"{problem.message}; {words}"
            problems = list(error.problems)
            problems[place] = problem._replace(message=message)
            return BadInput(problems, error.total)
    return error


def hint_of(field: str, guesses: Guesses) -> str | None:
    """What a person could map a missing field to, as it is typed."""
    column = next((one.name for one in guesses.columns if one.field == field), None)
    if column is not None:
        return f'{field} could be "{column}": --map {field}="{column}"'
    said = guesses.proposal.get(field)
    if isinstance(said, dict):
        typed = f'--derive {field}="{said["derive"]}:{said["column"]}"'
        return f'{field} could be derived from "{said["column"]}": {typed}'
    return None
