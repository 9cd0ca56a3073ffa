"""A vendor's usage file: a CSV whose columns somebody names, read."""

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import BinaryIO, NamedTuple

from worker.infrastructure.errors import BadInput, Code, Problem, Refused, bad

LINES_MAX = 200_000
"""Lines of one file: all of its ids are held at once."""
_LINE_MAX = 64 << 10
_PROBLEMS_MAX = 100
_DIGITS_MAX = 30
_YEARS = range(1970, 3000)
COLUMNS = ("id", "amount", "at")


class UsageFile(NamedTuple):
    """What a file says: amounts by id, and the first and last instant."""

    amounts: dict[str, Decimal | None]
    first: datetime | None
    last: datetime | None


def read(stream: BinaryIO, columns: Mapping[str, str]) -> UsageFile:
    """Read a CSV by the columns that are named: `id`, and maybe `amount` and `at`.

    Raises `BadInput` with lines and columns, and `Refused` where it has too many lines.
    """
    unknown = [name for name in columns if name not in COLUMNS]
    if unknown or "id" not in columns:
        raise bad("column", f"names id, and maybe amount and at: {', '.join(columns)}")
    rows = csv.reader(_lines(stream), strict=True)
    try:
        heading = next(rows, [])
        places = _places(heading, columns)
        return _rows(rows, lambda: rows.line_num, places, columns)
    except csv.Error as error:
        raise bad(None, f"is no CSV: {error}", line=rows.line_num) from error


def _lines(stream: BinaryIO) -> Iterator[str]:
    number = 0
    while line := stream.readline(_LINE_MAX + 1):
        number += 1
        if len(line) > _LINE_MAX:
            raise bad(None, f"is longer than {_LINE_MAX} bytes", line=number)
        if number > LINES_MAX + 1:
            message = f"there are more than {LINES_MAX} lines"
            raise Refused(Code.TOO_LARGE, message, lines_max=LINES_MAX)
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise bad(None, "is not UTF-8", line=number) from error


def _places(heading: Sequence[str], columns: Mapping[str, str]) -> dict[str, int]:
    places = {}
    for name, column in columns.items():
        if heading.count(column) != 1:
            how = "twice" if column in heading else "not"
            raise bad(
                column, f"is {how} among the columns {', '.join(heading)}", line=1
            )
        places[name] = heading.index(column)
    return places


def _rows(
    rows: Iterator[list[str]],
    line_of: Callable[[], int],
    places: Mapping[str, int],
    columns: Mapping[str, str],
) -> UsageFile:
    amounts: dict[str, Decimal | None] = {}
    instants: list[datetime] = []
    problems: list[Problem] = []
    for row in rows:
        if not any(row):
            continue
        try:
            id_, amount, at = _values(row, places, columns, line_of())
        except BadInput as error:
            problems += error.problems
            if len(problems) >= _PROBLEMS_MAX:
                break
            continue
        before = amounts.get(id_)
        # A line for each answer: what one id cost is their sum.
        amounts[id_] = amount if before is None else before + (amount or 0)
        if at is not None:
            instants = [min([at, *instants[:1]]), max([at, *instants[1:]])]
    if problems:
        raise BadInput(problems)
    first, last = instants or (None, None)
    return UsageFile(amounts, first, last)


def _values(
    row: Sequence[str], places: Mapping[str, int], columns: Mapping[str, str], line: int
) -> tuple[str, Decimal | None, datetime | None]:
    cells = {}
    for name, place in places.items():
        if place >= len(row):
            raise bad(columns[name], "is missing", line=line)
        cells[name] = row[place].strip()
    if not cells["id"]:
        raise bad(columns["id"], "is empty", line=line)
    amount = at = None
    if "amount" in cells:
        amount = _number(cells["amount"], columns["amount"], line)
    if "at" in cells:
        at = _instant(cells["at"], columns["at"], line)
    return cells["id"], amount, at


def _number(cell: str, column: str, line: int) -> Decimal:
    try:
        amount = Decimal(cell)
    except InvalidOperation as error:
        raise bad(column, "is no number", line=line) from error
    if not amount.is_finite() or abs(amount.adjusted()) > _DIGITS_MAX:
        raise bad(column, "is no number that fits", line=line)
    return amount


def _instant(cell: str, column: str, line: int) -> datetime:
    try:
        at = datetime.fromisoformat(cell)
        if at.tzinfo is None:
            raise bad(column, "has no offset from UTC", line=line)
        at = at.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise bad(column, "is no instant", line=line) from error
    if at.year not in _YEARS:
        raise bad(column, "is of no year that we know", line=line)
    return at
