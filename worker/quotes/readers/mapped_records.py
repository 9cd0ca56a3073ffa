"""The records of a table: its columns become fields, its rows are checked."""

from collections.abc import Iterator, Sequence
from functools import lru_cache, partial
from itertools import repeat

from worker.infrastructure.errors import BadInput, Problem, bad
from worker.quotes.readers.bounds import BATCH_BYTES, characters_of
from worker.quotes.readers.column_mapping import (
    USUAL,
    ColumnMapping,
    Fields,
    fields_of,
    listed,
)
from worker.quotes.readers.reader import Reading
from worker.quotes.readers.record_columns import NO_RECORDS, Rows, joined, rows_of
from worker.quotes.readers.records import COMPANY_ID, PERSON_ID
from worker.quotes.readers.table import ROWS, Piece, Table

_COMPANY = "company"
_SHAPES = 256
"""So many combinations of fields are looked at once alone."""


def records_in(table: Table, mapping: ColumnMapping = USUAL) -> Reading:
    """The records of a table, as they are asked for.

    Raises `BadInput` where a column is missing, or two would be one field.
    """
    if table.header_line is None:
        columns: dict[str, None] = {}
        taken: dict[str, str] = {}
        blocks = _merged(_growing(table, mapping, columns, taken))
        return Reading(columns.keys(), blocks, table.noticed, taken)
    fields = fields_of(mapping, table.names, line=table.header_line)
    if COMPANY_ID not in fields.names:
        message = f"the column is missing; there are {listed(table.names)}"
        raise bad(COMPANY_ID, message, line=table.header_line)
    blocks = (_rows(piece, fields) for piece in table.pieces)
    return Reading(fields.names, blocks, table.noticed, fields.taken)


def _growing(
    table: Table,
    mapping: ColumnMapping,
    columns: dict[str, None],
    taken: dict[str, str],
) -> Iterator[tuple[Rows, int]]:
    """Rows of pieces that bring their own names, with their size.

    The names of good records are kept.
    """
    known = lru_cache(_SHAPES)(partial(fields_of, mapping, line=None))
    for piece in table.pieces:
        try:
            fields = known(piece.names)
        except BadInput as error:
            yield Rows(NO_RECORDS, _all_bad(piece, error.problems), 0), 0
            continue
        rows = _rows(piece, fields)
        if len(rows.records):
            columns.update(dict.fromkeys(fields.names))
            taken.update(fields.taken)
        yield rows, characters_of(piece.columns) if len(rows) < ROWS else BATCH_BYTES


def _all_bad(piece: Piece, problems: list[Problem]) -> dict[int, list[Problem]]:
    rows = zip(piece.numbers, piece.lines, strict=True)
    return {
        number: [problem._replace(line=line) for problem in problems]
        for number, line in rows
    } | dict(piece.bad)


def _rows(piece: Piece, fields: Fields) -> Rows:
    if piece.unfit_ids:
        piece = _without_unfit(piece, fields)
    cells = fields.of(piece.columns, len(piece.numbers))
    if COMPANY_ID not in fields.names:
        return Rows(NO_RECORDS, _lost(piece), 0)
    rows = rows_of(fields.names, cells, piece.numbers, piece.lines)
    if piece.bad:
        return Rows(rows.records, {**rows.bad, **piece.bad}, rows.trimmed)
    return rows


def _without_unfit(piece: Piece, fields: Fields) -> Piece:
    """A piece without the rows whose ids must be none; they are bad."""
    bad_rows = dict(piece.bad)
    unfit: set[int] = set()
    for ours, source in zip(fields.names, fields.sources, strict=True):
        if ours in {COMPANY_ID, PERSON_ID} and isinstance(source, int):
            for at, message in piece.unfit_ids.get(piece.names[source], {}).items():
                problem = Problem(piece.lines[at], ours, message)
                number = piece.numbers[at]
                bad_rows[number] = [*bad_rows.get(number, ()), problem]
                unfit.add(at)
    kept = [at for at in range(len(piece.numbers)) if at not in unfit]
    return Piece(
        piece.names,
        [[cells[at] for at in kept] for cells in piece.columns],
        [piece.numbers[at] for at in kept],
        [piece.lines[at] for at in kept],
        bad_rows,
    )


def _lost(piece: Piece) -> dict[int, list[Problem]]:
    """What is wrong with rows that name no company."""
    by_name = dict(zip(piece.names, piece.columns, strict=True))
    persons: Sequence[str] | Iterator[str] = by_name.get(PERSON_ID, repeat(""))
    rows = zip(piece.numbers, piece.lines, persons, strict=False)
    return {
        number: [_without_company(line, person, nested=_COMPANY in by_name)]
        for number, line, person in rows
    } | dict(piece.bad)


def _without_company(line: int, person_id: str, *, nested: bool) -> Problem:
    """Say so of the field that was to name it."""
    if nested:
        return Problem(line, _COMPANY, "is not an object, and there is no company_id")
    if person_id:
        return Problem(line, COMPANY_ID, "is missing: a person needs its company")
    return Problem(line, COMPANY_ID, "is missing")


def _merged(blocks: Iterator[tuple[Rows, int]]) -> Iterator[Rows]:
    """Small blocks as larger ones."""
    held: list[Rows] = []
    count = size = 0
    for rows, its_size in blocks:
        held.append(rows)
        count += len(rows)
        size += its_size
        if count >= ROWS or size >= BATCH_BYTES:
            yield joined(held)
            held, count, size = [], 0, 0
    if held:
        yield joined(held)
