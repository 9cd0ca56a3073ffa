"""Ids that are derived while a table is read, and those that only look like it."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from pricing.claims import DERIVED
from worker.infrastructure.errors import Problem
from worker.quotes.readers.column_mapping import Fields, Made, NoId
from worker.quotes.readers.record_columns import Records, Rows
from worker.quotes.readers.records import COMPANY_ID, PERSON_ID
from worker.quotes.readers.table import Piece

_NAMES_A_PERSON = ("first_name", "last_name", "title")


FORGED = (
    f"begins with {DERIVED}, as derived ids do, and was not derived for this license: "
    "choose another id, or map what it is to be derived from"
)
"""What is wrong with an id that looks derived, and is not."""


class MadeIds(NamedTuple):
    """The ids of each derived field, for the rows at `places`; the others are bad."""

    ids: Mapping[str, Sequence[str]]
    places: Sequence[int]
    bad: Mapping[int, list[Problem]]


def ids_of(piece: Piece, fields: Fields) -> MadeIds:
    """Derive the ids of a piece's rows; where none can be, the row is bad."""
    bad: dict[int, list[Problem]] = {}
    told = _told_of(piece, fields)
    made = {
        name: _made(piece, name, one, told, bad) for name, one in fields.derived.items()
    }
    places = [at for at, number in enumerate(piece.numbers) if number not in bad]
    ids = {name: [column[at] for at in places] for name, column in made.items()}
    return MadeIds(ids, places, bad)


def _made(
    piece: Piece,
    name: str,
    one: Made,
    told: Sequence[bool],
    bad: dict[int, list[Problem]],
) -> list[str]:
    """The ids of one field, "" where there is none; what is wrong goes to `bad`."""
    rows = len(piece.numbers)
    cells = [""] * rows if one.source is None else piece.columns[one.source]
    made: list[str] = []
    for at, cell in enumerate(cells):
        value = cell.strip()
        try:
            made.append(one.make(value) if value else _without(name, told[at]))
        except NoId as error:
            made.append("")
            problem = Problem(piece.lines[at], name, str(error))
            bad.setdefault(piece.numbers[at], []).append(problem)
    return made


def _without(name: str, is_told: bool) -> str:
    """The id where there is nothing to derive it from: the company alone has none."""
    if name == COMPANY_ID:
        raise NoId("cannot be derived: what it is derived from is empty")
    if is_told:
        raise NoId("cannot be derived: the record names a person without it")
    return ""


def _told_of(piece: Piece, fields: Fields) -> list[bool]:
    """Whether each row tells of a person by more than an id."""
    columns = [
        piece.columns[source]
        for name, source in zip(fields.names, fields.sources, strict=True)
        if name in _NAMES_A_PERSON and isinstance(source, int)
    ]
    if not columns:
        return [False] * len(piece.numbers)
    return [any(cell.strip() for cell in row) for row in zip(*columns, strict=True)]


def looks_derived(records: Records, made: Collection[str]) -> bool:
    """Whether an id may begin as derived ones do, of fields that are not in `made`."""
    return any(DERIVED in "".join(ids) for _, ids in _given(records, made))


def _given(
    records: Records, made: Collection[str]
) -> Iterator[tuple[str, Sequence[str]]]:
    """The ids of each field that were not derived just now."""
    if COMPANY_ID not in made:
        yield COMPANY_ID, records.company_ids
    if PERSON_ID not in made:
        yield PERSON_ID, [one or "" for one in records.person_ids]


def without_forged(
    rows: Rows,
    lines: Mapping[int, int],
    is_derived: Callable[[str, str], bool],
    made: Collection[str],
) -> Rows:
    """Rows without those whose ids begin as derived ones do, and are none.

    `lines` are by the rows' numbers; the ids of the fields in `made` are our own.
    """
    records, bad = rows.records, dict[int, list[Problem]]()
    for name, ids in _given(records, made):
        for number, id_ in zip(records.numbers, ids, strict=True):
            if id_.startswith(DERIVED) and not is_derived(name, id_):
                problem = Problem(lines[number], name, FORGED)
                bad.setdefault(number, []).append(problem)
    if not bad:
        return rows
    kept = [at for at, number in enumerate(records.numbers) if number not in bad]
    return Rows(records.at(kept), {**rows.bad, **bad}, rows.trimmed)
